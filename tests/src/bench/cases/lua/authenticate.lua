local partners = {}
for number = 1, 10 do
  partners[string.format("key-of-partner-%02d-9f86d081", number)] = string.format("partner-%02d", number)
end

local function authenticate(handle)
  local headers = handle:headers()
  local path = headers:get(":path")
  if string.sub(path, 1, 5) ~= "/api/" then
    handle:respond({[":status"] = "403"}, "forbidden\n")
  end
  local key = headers:get("x-api-key")
  local partner = key and partners[key]
  if not partner then
    handle:respond({[":status"] = "401", ["www-authenticate"] = "ApiKey"}, "unauthenticated\n")
  end
  headers:remove("x-api-key")
  headers:replace("x-auth-subject", partner)
end
