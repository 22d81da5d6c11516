-- A campaign in ten lines: a text made for each row of groups.csv, tested in one group, sent in the daytime. Run again,
-- it goes on where it stopped, or says what it sent. Only the test:  mooncast run scripts/campaign_csv.lua test

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
