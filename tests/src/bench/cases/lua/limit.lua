-- GCRA: when the quota of a user would be full again, in milliseconds.
local interval, burst = 1000 / 100, 100
local full_at = {}

local function limit(handle)
  local user = handle:headers():get("x-user-id")
  if not user then
    return
  end
  local now = tonumber(handle:timestamp(EnvoyTimestampResolution.MILLISECOND))
  local full = math.max(full_at[user] or 0, now) + interval
  if full - now > burst * interval then
    local wait = math.ceil((full - now - burst * interval) / 1000)
    handle:respond({[":status"] = "429", ["retry-after"] = tostring(wait)}, "too many requests\n")
  end
  full_at[user] = full
end
