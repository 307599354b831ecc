# {{about}}
#
#   consul config write {{file}}
#
# For every service: there is one proxy-defaults, and this replaces it. What it says already belongs in here as well.
# {{notes}}
Kind = "proxy-defaults"
Name = "global"
Config {
  protocol = "http"
  {{static_clusters}}
}
{{extension}}
