"""What runs inside Redis: one script leases slots, one keeps the list of living replicas.

All times are seconds. Redis' own clock counts (`TIME`), less a constant so that a float holds it to the nearest 15
nanoseconds. Places are told relative to it: nobody else's clock matters.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua text and the name under which Redis keeps it."""

    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        # Redis names scripts by SHA-1; nothing secret depends on it.
        object.__setattr__(self, "sha", hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest())


_CLOCK = """
local time = redis.call('TIME')
local now = (tonumber(time[1]) - 1700000000) + tonumber(time[2]) / 1000000
local function text(number) return string.format('%.9f', number) end
local function seen(key, me, window)
  redis.call('ZADD', key, text(now), me)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', '(' .. text(now - window))
  redis.call('ZREMRANGEBYSCORE', key, '(' .. text(now + 1), '+inf')
  redis.call('PEXPIRE', key, math.ceil(window * 1000) + 1000)
  return redis.call('ZCARD', key)
end
"""

BEAT = Script(
    _CLOCK
    + """
-- KEYS: living replicas. ARGV: this replica, seconds a replica counts as living.
-- Returns the time and how many live.
return {text(now), tostring(seen(KEYS[1], ARGV[1], tonumber(ARGV[2])))}
"""
)

LEASE = Script(
    _CLOCK
    + """
-- KEYS: the quota, replicas that want some of it, living replicas, what waits at each replica.
-- ARGV: this replica, seconds it counts as living, seconds it counts as wanting, largest lease, seconds in which every
--   replica's turn comes round, seconds it was cut off from here, seconds until which nothing may go, seconds of the
--   limit that wait at this replica and that will come back to it; then for each dimension: name, depth, already taken
--   (negative: returned), taken while cut off, needed at once, wanted, largest lease from burst credit, the most that
--   the bucket can hold, the TAT it last saw (relative, if any), a usual call.
local me, living_s, wanting_s = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local lease_s, round_s = tonumber(ARGV[4]), tonumber(ARGV[5])
local lost_s, closed_s, waiting = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local booked = tonumber(ARGV[9])
local WIDTH, FIRST = 10, 10
local dimensions = (#ARGV - FIRST + 1) / WIDTH

local kept = redis.call('HGETALL', KEYS[1])
local state = {}
for i = 1, #kept, 2 do state[kept[i]] = tonumber(kept[i + 1]) end

-- A clock that was set back takes every time with it; otherwise all would wait until it has caught up.
local back = 0
if state.at and state.at > now then back = state.at - now end
local at = state.at and state.at - back
local gate = state.gate and state.gate - back or 0
local withheld_from = state.withheld_from and state.withheld_from - back or 0
local withheld_to = state.withheld_to and state.withheld_to - back or 0

-- Replicas that lose Redis pace by themselves to their share of the limit. If nobody was here meanwhile, the first who
-- comes back stands for all: what would have refilled in that time counts as spent. Others add only what they spent in
-- time that is not covered so.
local gap, unseen = 0, 0
if lost_s > 0 then
  local from = now - lost_s
  if at and at > from then from = at end
  if now - from >= lost_s / 2 then
    gap = now - from
    withheld_from, withheld_to = from, now
  end
  local covered = math.min(now, withheld_to) - math.max(now - lost_s, withheld_from)
  unseen = 1 - math.min(math.max(covered, 0) / lost_s, 1)
end

if closed_s > 0 and now + closed_s > gate then gate = now + closed_s end

local wanting, least = false, 0
local tat, first = {}, math.max(now, gate)
for d = 1, dimensions do
  local base = FIRST + (d - 1) * WIDTH
  local name, depth = ARGV[base], tonumber(ARGV[base + 1])
  local taken, taken_lost, need = tonumber(ARGV[base + 2]), tonumber(ARGV[base + 3]), tonumber(ARGV[base + 4])
  local most, hint = tonumber(ARGV[base + 7]), tonumber(ARGV[base + 8])
  local place = state[name] and state[name] - back
  if not place then place = hint and now + hint or now end
  if gap > 0 then place = math.max(place, now - gap) + gap end
  taken = taken + taken_lost * unseen
  if taken > 0 then place = math.max(place, now) end
  place = place + taken
  if most >= 0 then place = math.max(place, now + depth - most) end
  if closed_s > 0 then place = math.max(place, gate + depth) end
  tat[d] = place
  if tonumber(ARGV[base + 5]) > 0 then wanting = true end
  least = math.max(least, need)
  first = math.max(first, math.max(place, now) + need - math.max(depth, need))
end

local active
if wanting then
  active = seen(KEYS[2], me, wanting_s)
else
  active = redis.call('ZCOUNT', KEYS[2], text(now - wanting_s), '+inf')
end
local living = seen(KEYS[3], me, living_s)

-- What the others told has become less since, as all that waits has.
local others, waits, asked = {}, waiting, waiting + booked
local told = redis.call('HGETALL', KEYS[4])
for i = 1, #told, 2 do
  local amount, more, since = string.match(told[i + 1], '(%S+) (%S+) (%S+)')
  local old = now - tonumber(since)
  if old > wanting_s or old < -1 then
    redis.call('HDEL', KEYS[4], told[i])
  elseif told[i] ~= me then
    others[#others + 1] = {left = tonumber(amount), booked = tonumber(more), old = math.max(old, 0)}
    waits = waits + tonumber(amount)
  end
end
local total, most = waiting, waiting
for _, one in ipairs(others) do
  if waits > 0 then one.left = one.left * math.max(1 - one.old / waits, 0) end
  total, most = total + one.left, math.max(most, one.left)
end

-- Replicas take turns, and in each is granted its part of all that waits: so whoever came first goes first, wherever.
-- But a turn is one call at least, of the scarcest, and the longest no more than a lease may hold.
if most > 0 then round_s = math.min(round_s, lease_s * total / most) end
local function part(amount) return round_s * amount / total end
local function turn(amount) return math.max(least, part(amount)) end
local share = waiting > 0 and part(waiting) or math.min(lease_s, round_s / math.max(active, 1))

-- Until all that waits here has gone, others take their turns for as long as they have something. Those who are sent
-- away come back at such a pace that all replicas have served theirs together.
local beside, besides = 0, 0
for _, one in ipairs(others) do
  if one.left > 0 then
    beside = beside + (waiting > 0 and math.min(one.left / waiting, turn(one.left) / turn(waiting)) or 1)
  end
  if one.left + one.booked > 0 then
    besides = besides + (asked > 0 and (one.left + one.booked) / asked or 1)
  end
end
if asked > 0 then
  redis.call('HSET', KEYS[4], me, text(waiting) .. ' ' .. text(booked) .. ' ' .. text(now))
  redis.call('PEXPIRE', KEYS[4], math.ceil(wanting_s * 1000) + 1000)
else
  redis.call('HDEL', KEYS[4], me)
end

-- A place in one dimension is of no use before its place in the scarcest: it would have passed by then.
local reply = {
  text(now), tostring(living), tostring(active), text(math.max(gate - now, 0)), text(beside), text(besides)
}
local changes = {'at', text(now), 'gate', text(gate),
  'withheld_from', text(withheld_from), 'withheld_to', text(withheld_to)}
local ttl = math.max(gate - now, 0)
for d = 1, dimensions do
  local base = FIRST + (d - 1) * WIDTH
  local name, depth = ARGV[base], tonumber(ARGV[base + 1])
  local need, want, ramp = tonumber(ARGV[base + 4]), tonumber(ARGV[base + 5]), tonumber(ARGV[base + 6])
  local start, granted = math.max(tat[d], first), 0
  if want > 0 then
    local credit = math.max(now + depth - start, 0)
    granted = math.max(need, math.min(want, math.max(share, math.min(ramp, credit))))
    local call = tonumber(ARGV[base + 9])
    if call > 0 then granted = need + math.floor((granted - need) / call + 1e-6) * call end
    tat[d] = start + granted
  end
  local sum = (state['sum_' .. name] or 0) + granted + tonumber(ARGV[base + 2])
  for _, value in ipairs({name, text(tat[d]), 'sum_' .. name, text(sum)}) do changes[#changes + 1] = value end
  for _, value in ipairs({start - now, granted, tat[d] - now, sum}) do reply[#reply + 1] = text(value) end
  ttl = math.max(ttl, tat[d] - now + depth)
end
redis.call('HSET', KEYS[1], unpack(changes))
redis.call('PEXPIRE', KEYS[1], math.ceil((ttl + 60) * 1000))
return reply
"""
)
