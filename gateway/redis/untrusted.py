"""The Lua prelude with which scripts read values from Redis as untrusted input.

Others can write to the same Redis. Invariant: a value of another type, length or format than ours counts as
absent and raises nothing.
"""

from __future__ import annotations

# Prepended to scripts. GETRANGE bounds the read, and returns '' for an absent key; our values have some 60
# bytes. 16 digits hold the microseconds of Unix time until the year 2286.
READING = """
local function text(key)
  local value = redis.pcall('GETRANGE', key, 0, 255)
  if type(value) == 'string' and value ~= '' then return value end
  return nil
end
local function number(value)
  if value and #value <= 16 and string.find(value, '^%d+$') then return tonumber(value) end
  return nil
end
"""
