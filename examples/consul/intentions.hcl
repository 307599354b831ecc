# Who may call `web`. Without the last line everybody else may, where the default is allow.
Kind = "service-intentions"
Name = "web"
Sources = [
  {
    Name = "client"
    Permissions = [
      { Action = "deny", HTTP { PathPrefix = "/internal" } },
      { Action = "allow", HTTP { PathPrefix = "/" } },
    ]
  },
  { Name = "*", Action = "deny" },
]
