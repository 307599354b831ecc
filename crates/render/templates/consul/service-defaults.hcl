# {{about}}
#
#   consul config write {{file}}
#
# {{direction_why}}
# {{notes}}
Kind     = "service-defaults"
Name     = "{{service}}"
Protocol = "http"
{{extension}}
