# Two services that call a third, each with a sidecar.
services {
  name = "web"
  port = 8080
  connect { sidecar_service { port = 21000 } }
}
services {
  name = "client"
  port = 8081
  connect {
    sidecar_service {
      port = 21001
      proxy { upstreams = [{ destination_name = "web", local_bind_port = 9191 }] }
    }
  }
}
services {
  name = "stranger"
  port = 8082
  connect {
    sidecar_service {
      port = 21002
      proxy { upstreams = [{ destination_name = "web", local_bind_port = 9192 }] }
    }
  }
}
