-- A campaign: makes a text for each row of groups.csv, tests it in one group and sends it at 10 messages a second. If you
-- run it again, it continues where it stopped, or reports what it sent.
-- To send only the test:  mooncast run scripts/campaign_csv.lua test

function main(args)
  require("campaign").run({
    name = "summer-meeting-campaign",
    to = "scripts/groups.csv",
    text = "Hello {{ name }}! The summer meeting in {{ city }} is on 21 June. Will you come?",
    from = "office",
    rate = 10,
    test = { "184524748161029" },
    test_as = { name = "testers", city = "Leipzig" },
    test_only = args[1] == "test",
  })
end
