"""How our scripts read what lies in Redis: as untrusted input, for others can write there too.

Invariant: a value of another type, length or spelling than ours counts as absent, and raises nothing.
"""

from __future__ import annotations

# Put before the text of a script.
# GETRANGE: a bounded read, and '' for a key that is absent. Ours have some 60 bytes.
# 16 digits: microseconds of Unix time until the year 2286.
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
