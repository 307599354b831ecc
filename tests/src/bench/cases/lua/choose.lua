local rules = {}
for number = 1, 10 do
  rules[number] = {plan = "plan-" .. number, route = number == 10 and "beta" or "stable"}
end

local function choose(handle)
  local headers = handle:headers()
  local plan = headers:get("x-plan")
  local route = "stable"
  for _, rule in ipairs(rules) do
    if plan == rule.plan then
      route = rule.route
      break
    end
  end
  headers:replace("x-tidegate-route", route)
  handle:clearRouteCache()
end
