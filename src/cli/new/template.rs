//! The projects that `mooncast new` can create.

use clap::ValueEnum;

/// What a new project is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Template {
    /// A first script that sends to three groups
    #[default]
    Hello,
    /// A text for each group of a list, once, with a test group
    Campaign,
    /// Answers to new members and to keywords
    Bot,
    /// A broadcast each weekday at nine
    Schedule,
    /// Messages that requests of another system start
    Automation,
}

/// The list of the templates that send to groups.
const GROUPS: (&str, &str) = ("scripts/groups.csv", include_str!("templates/groups.csv"));

impl Template {
    /// The paths and contents of its own files.
    pub(super) const fn files(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Hello => &[
                ("scripts/hello.lua", include_str!("hello.lua")),
                ("scripts/tests/hello.lua", include_str!("hello_test.lua")),
            ],
            Self::Campaign => &[
                ("README.md", include_str!("templates/campaign/README.md")),
                ("scripts/campaign.lua", include_str!("templates/campaign/campaign.lua")),
                ("scripts/tests/campaign.lua", include_str!("templates/campaign/test.lua")),
                GROUPS,
            ],
            Self::Bot => &[
                ("README.md", include_str!("templates/bot/README.md")),
                ("scripts/bot.lua", include_str!("templates/bot/bot.lua")),
                ("scripts/tests/bot.lua", include_str!("templates/bot/test.lua")),
            ],
            Self::Schedule => &[
                ("README.md", include_str!("templates/schedule/README.md")),
                ("scripts/daily.lua", include_str!("templates/schedule/daily.lua")),
                ("scripts/tests/daily.lua", include_str!("templates/schedule/test.lua")),
                GROUPS,
            ],
            Self::Automation => &[
                ("README.md", include_str!("templates/automation/README.md")),
                ("scripts/orders.lua", include_str!("templates/automation/orders.lua")),
                ("scripts/tests/orders.lua", include_str!("templates/automation/test.lua")),
            ],
        }
    }

    /// The lines that it changes in the settings and in the CI file, which each occur once.
    pub(super) const fn changes(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Automation => &[
                ("# net = [\"api.example.com\"]", "net = [\"api.example.com\"]"),
                ("# secrets = [\"API_KEY\"]", "secrets = [\"ORDERS_SECRET\", \"API_KEY\"]"),
                ("# hooks = [\"orders\"]", "hooks = [\"orders\"]"),
                (
                    "    timeout-minutes: 15\n",
                    "    timeout-minutes: 15\n    env:\n      ORDERS_SECRET: any-text\n      API_KEY: any-text\n",
                ),
                (REHEARSE, "mooncast rehearse scripts/orders.lua --job orders"),
            ],
            Self::Hello => &[],
            Self::Campaign => &[(REHEARSE, "mooncast rehearse scripts/campaign.lua")],
            Self::Bot => &[(REHEARSE, "mooncast rehearse scripts/bot.lua")],
            Self::Schedule => &[(REHEARSE, "mooncast rehearse scripts/daily.lua --job good-morning")],
        }
    }

    /// The commands that a new user tries first.
    pub(super) const fn next(self) -> &'static [&'static str] {
        match self {
            Self::Hello => &["mooncast run scripts/hello.lua", "mooncast test"],
            Self::Campaign => &[
                "mooncast test",
                "mooncast rehearse scripts/campaign.lua",
                "mooncast run scripts/campaign.lua",
            ],
            Self::Bot => &["mooncast check", "mooncast test"],
            Self::Schedule => {
                &["mooncast check", "mooncast test", "mooncast rehearse scripts/daily.lua --job good-morning"]
            }
            Self::Automation => {
                &["export ORDERS_SECRET=try-it API_KEY=try-it", "mooncast check", "mooncast test"]
            }
        }
    }
}

/// The rehearsal in the CI file.
const REHEARSE: &str = "mooncast rehearse scripts/hello.lua";
