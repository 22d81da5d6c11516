//! Reads whole lists, page by page. A failed page can be requested again: only a received page advances the position.

use super::Client;
use super::failure::CallError;
use super::lists::{Group, Member, PAGE_SIZE_MAX};

/// Reads the pages of the app's groups.
#[derive(Debug, Clone)]
pub struct GroupPages {
    client: Client,
    cursor: Option<String>,
    done: bool,
}

/// Reads the pages of one group's members.
#[derive(Debug, Clone)]
pub struct MemberPages {
    client: Client,
    group_id: String,
    pagenum: u32,
    done: bool,
}

impl Client {
    /// All groups of the app, in pages of a thousand.
    pub fn group_pages(&self) -> GroupPages {
        GroupPages { client: self.clone(), cursor: None, done: false }
    }

    /// All members of a group, in pages of a thousand.
    pub fn member_pages(&self, group_id: impl Into<String>) -> MemberPages {
        MemberPages { client: self.clone(), group_id: group_id.into(), pagenum: 1, done: false }
    }
}

impl GroupPages {
    /// The next page, with one call; `None` after the last.
    ///
    /// # Errors
    ///
    /// As [`Client::groups_page`]. The next call requests the same page again.
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
    /// The next page, with one call; `None` after the last.
    ///
    /// # Errors
    ///
    /// See [`CallError::class`]. The next call requests the same page again.
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
