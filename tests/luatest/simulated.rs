//! Time in the tests of `mooncast test`: faults, doubts, quotas and long campaigns, all in simulated time.

use super::{GROUP, with_tests};

#[test]
fn faults_and_timeouts_take_simulated_time() {
    let send = format!("im.group_send({{ to = '{GROUP}', type = 'txt', body = {{ msg = 'x' }} }})");
    with_tests(&format!(
        "local function send() {send} end
         test('answers that never come', function(t)
           t.fault('send:hang-after')
           local before = os.time()
           for _ = 1, 3 do expect(send).to_fail('in_doubt') end
           -- Longer than the test may take.
           expect(os.time() - before).to_be_at_least(90)
           expect(t.count()).to_equal(3)
         end)
         test('a service that is down', function(t)
           t.fault({{ 'token:503', 'send:503' }})
           expect(send).to_fail('unreachable')
           t.fault('')
           send()
           expect(t.count()).to_equal(1)
         end)
         test('an answer that breaks off, and a reset', function(t)
           t.fault({{ 'send:at=1:truncated', 'send:at=2:reset-before' }})
           expect(send).to_fail('in_doubt')
           expect(send).to_fail('in_doubt')
           expect(t.count()).to_equal(1)
         end)
         test('a rule that makes no sense', function(t)
           expect(function() t.fault('send:sometimes:429') end).to_fail('faults: ')
         end)"
    ))
    .mooncast(&["test"])
    .exits(0)
    .prints("4 tests passed");
}

/// The hour before the test's has no messages, so its file is empty and shows no time zone.
#[test]
fn doubts_are_settled_by_the_history_in_simulated_time() {
    with_tests(
        "test('one message arrived and one did not', function(t)
           t.fault({ 'send:at=2:reset-after', 'send:at=4:reset-before' })
           local before = os.time()
           expect(t.run('scripts/campaign.lua').delivered).to_equal(true)
           for group = 1, 6 do expect(#t.sent(tostring(group))).to_equal(1) end
           -- Absence is known 24 hours after the end of the hour.
           expect(os.time() - before).to_be_at_least(24 * 3600)
           expect(os.time() - before).to_be_at_most(26 * 3600)
         end)",
    )
    .file(
        "scripts/campaign.lua",
        "im.broadcast({ name = 'c', to = { 1, 2, 3, 4, 5, 6 }, in_doubt = 'reconcile',
            message = { type = 'txt', body = { msg = 'x' } } })",
    )
    .mooncast(&["test"])
    .exits(0)
    .prints("1 test passed");
}

/// Groups have the same ids and get the same text, so only the kind of the conversation tells the records apart.
#[test]
fn doubts_to_users_are_settled_by_the_records_of_users() {
    with_tests(
        "test('one message arrived and one did not', function(t)
           t.fault({ 'send:at=4:reset-after', 'send:at=5:reset-before' })
           expect(t.run('scripts/campaign.lua').delivered).to_equal(true)
           expect(t.count()).to_equal(6)
         end)",
    )
    .file(
        "scripts/campaign.lua",
        "local message = { type = 'txt', body = { msg = 'x' } }
        im.broadcast({ name = 'groups', to = { 'a', 'b', 'c' }, message = message })
        im.broadcast({ name = 'users', kind = 'user', to = { 'a', 'b', 'c' }, pack = 1, in_doubt = 'reconcile',
            message = message })",
    )
    .mooncast(&["test"])
    .exits(0)
    .prints("1 test passed");
}

#[test]
fn a_broadcast_goes_at_the_quota_s_pace_and_can_be_looked_at_half_way() {
    with_tests(
        "test('half-way', function(t)
           local campaign = task.spawn(t.run, 'scripts/campaign.lua')
           t.advance('30s')
           local half = t.count()
           expect(half).to_be_at_least(550)
           expect(half).to_be_at_most(620)
           local before = os.time()
           campaign:wait()
           expect(t.count()).to_equal(1200)
           expect(os.time() - before).to_be_at_least(28)
           expect(os.time() - before).to_be_at_most(33)
         end)
         test('never over it', function(t)
           expect(t.run('scripts/campaign.lua').throttled).to_equal(0)
         end)",
    )
    .file(
        "scripts/campaign.lua",
        "local to = {}
        for i = 1, 1200 do to[i] = tostring(184524748161024 + i) end
        im.broadcast({ name = 'c', to = to, message = { type = 'txt', body = { msg = 'x' } } })",
    )
    .mooncast(&["test"])
    .exits(0)
    .prints("2 tests passed");
}

#[test]
fn a_ten_hour_campaign_takes_seconds() {
    with_tests(
        "test('all day', function(t)
           local before = os.time()
           t.run('scripts/campaign.lua')
           expect(t.count()).to_equal(120)
           expect(os.time() - before).to_be_at_least(9.9 * 3600)
           expect(os.date('!%H', os.time())).to_match('^1[89]$')
         end)",
    )
    .file(
        "scripts/campaign.lua",
        "local to = {}
        for i = 1, 120 do to[i] = tostring(184524748161024 + i) end
        im.broadcast({ name = 'c', to = to, rate = 1 / 300, message = { type = 'txt', body = { msg = 'x' } } })",
    )
    .mooncast(&["test"])
    .exits(0)
    .prints("1 test passed");
}

#[test]
fn the_same_test_sees_the_same_every_time() {
    let project = with_tests(
        "test('instants', function(t)
           t.fault({ 'send:every=7:429', 'send:every=11:503,html', 'token:first=2:503', 'send:at=5:hang-before' })
           t.run('scripts/campaign.lua')
           local all = {}
           for group, messages in pairs(t.sent()) do
             all[#all + 1] = ('%s %.3f %s'):format(group, messages[1].at, messages[1].id)
           end
           table.sort(all)
           error('seen: ' .. require('hash').sha256(table.concat(all, ' ')) .. ' ' .. #all)
         end)",
    )
    .file(
        "scripts/campaign.lua",
        "local to = {}
        for i = 1, 200 do to[i] = tostring(184524748161024 + i) end
        im.broadcast({ name = 'c', to = to, message = { type = 'txt', body = { msg = 'x' } } })",
    );
    let seen = || {
        let ran = project.mooncast(&["test"]).exits(1);
        let line = ran.stdout.lines().find(|line| line.contains(": seen: "));
        line.unwrap_or_else(|| panic!("{ran:#?}")).to_owned()
    };
    assert_eq!(seen(), seen());
}
