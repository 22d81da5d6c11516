//! Whole lists, page by page. A page that failed can be asked for again: only a page that came moves on.

use super::Client;
use super::failure::CallError;
use super::lists::{Group, Member, PAGE_SIZE_MAX};

/// The pages of the app's groups.
#[derive(Debug, Clone)]
pub struct GroupPages {
    client: Client,
    cursor: Option<String>,
    done: bool,
}

/// The pages of one group's members.
#[derive(Debug, Clone)]
pub struct MemberPages {
    client: Client,
    group_id: String,
    pagenum: u32,
    done: bool,
}

impl Client {
    /// All groups of the app, a thousand a page.
    #[must_use]
    pub fn group_pages(&self) -> GroupPages {
        GroupPages { client: self.clone(), cursor: None, done: false }
    }

    /// All members of a group, a thousand a page.
    #[must_use]
    pub fn member_pages(&self, group_id: impl Into<String>) -> MemberPages {
        MemberPages { client: self.clone(), group_id: group_id.into(), pagenum: 1, done: false }
    }
}

impl GroupPages {
    /// The next page, by one call; none after the last.
    ///
    /// # Errors
    ///
    /// As of [`Client::groups_page`], and the next call asks for the same page.
    pub async fn next(&mut self) -> Result<Option<Vec<Group>>, CallError> {
        if self.done {
            return Ok(None);
        }
        let page = self.client.groups_page(self.cursor.as_deref(), PAGE_SIZE_MAX).await?;
        self.done = page.cursor.is_none();
        self.cursor = page.cursor;
        Ok(Some(page.groups))
    }
}

impl MemberPages {
    /// The next page, by one call; none after the last.
    ///
    /// # Errors
    ///
    /// By [`Failure::class`], and the next call asks for the same page.
    pub async fn next(&mut self) -> Result<Option<Vec<Member>>, CallError> {
        if self.done {
            return Ok(None);
        }
        let page = self.client.members_page(&self.group_id, self.pagenum, PAGE_SIZE_MAX).await?;
        self.done = page.last;
        self.pagenum += 1;
        Ok(Some(page.members))
    }
}
