//! The users of a device, as they are kept.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::credentials::ANONYMOUS;
use super::token::{AccessToken, Secret};

/// The users of an app on this device. The one who logged in last comes last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Accounts {
    current: Option<String>,
    users: Vec<Account>,
}

/// One user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Account {
    pub(super) id: String,
    pub(super) device_id: String,
    pub(super) profile: Profile,
    /// None of one who is logged out.
    pub(super) tokens: Option<Tokens>,
}

/// What proves who a user is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Tokens {
    pub(super) access: AccessToken,
    pub(super) refresh: Secret,
}

/// What a server tells of a user.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// The ways in which the user can log in, in the order in which they were linked.
    pub identities: Vec<Identity>,
    /// What the providers tell: `name`, `email` and so on.
    pub data: Map<String, Value>,
}

/// A way in which a user can log in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// What it is known by, in the realm of its provider.
    pub id: String,
    /// The provider: `anon-user`, `local-userpass`, `api-key`, `custom-token`, `custom-function` or another.
    pub provider_type: String,
}

impl Accounts {
    /// Keeps a user who has logged in, who becomes the current one.
    pub(super) fn log_in(&mut self, account: Account) {
        self.users.retain(|known| known.id != account.id);
        self.current = Some(account.id.clone());
        self.users.push(account);
    }

    /// Forgets the tokens of a user, and the user if anonymous: there is no way back in. The one who logged in
    /// last among the others becomes the current one.
    pub(super) fn log_out(&mut self, id: &str) {
        let Some(account) = self.get_mut(id) else { return };
        account.tokens = None;
        if account.is_anonymous() {
            self.users.retain(|user| user.id != id);
        }
        self.leave(id);
    }

    /// Forgets a user.
    pub(super) fn remove(&mut self, id: &str) {
        self.users.retain(|user| user.id != id);
        self.leave(id);
    }

    /// Makes a user the current one, if logged in.
    pub(super) fn switch(&mut self, id: &str) -> bool {
        let is_logged_in = self.get(id).is_some_and(|user| user.tokens.is_some());
        if is_logged_in {
            self.current = Some(id.to_owned());
        }
        is_logged_in
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut Account> {
        self.users.iter_mut().find(|user| user.id == id)
    }

    pub(super) fn get(&self, id: &str) -> Option<&Account> {
        self.users.iter().find(|user| user.id == id)
    }

    pub(super) fn current(&self) -> Option<&str> {
        self.current.as_deref()
    }

    /// The anonymous user who is logged in.
    pub(super) fn anonymous(&self) -> Option<&Account> {
        self.users.iter().find(|user| user.tokens.is_some() && user.is_anonymous())
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.users.iter().map(|user| &*user.id)
    }

    fn leave(&mut self, id: &str) {
        if self.current.as_deref() == Some(id) {
            let next = self.users.iter().rfind(|user| user.tokens.is_some());
            self.current = next.map(|user| user.id.clone());
        }
    }
}

impl Account {
    /// Whether there is no other way in.
    pub(super) fn is_anonymous(&self) -> bool {
        matches!(&*self.profile.identities, [only] if only.provider_type == ANONYMOUS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(id: &str, provider: &str) -> Account {
        let identity = Identity { id: "i".to_owned(), provider_type: provider.to_owned() };
        let access = AccessToken::parse(Secret("h.e30.s".to_owned())).unwrap();
        Account {
            id: id.to_owned(),
            device_id: String::new(),
            profile: Profile { identities: vec![identity], data: Map::new() },
            tokens: Some(Tokens { access, refresh: Secret("h.e30.r".to_owned()) }),
        }
    }

    fn accounts(users: &[(&str, &str)]) -> Accounts {
        let mut accounts = Accounts::default();
        for (id, provider) in users {
            accounts.log_in(account(id, provider));
        }
        accounts
    }

    #[test]
    fn who_logs_in_again_is_not_there_twice() {
        let accounts = accounts(&[("a", "api-key"), ("b", "api-key"), ("a", "api-key")]);
        assert_eq!(accounts.ids().collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(accounts.current(), Some("a"));
    }

    #[test]
    fn another_user_follows_one_who_logs_out() {
        let mut accounts = accounts(&[("a", "api-key"), ("b", "api-key"), ("c", "api-key")]);
        accounts.log_out("b");
        assert_eq!(accounts.current(), Some("c"));
        accounts.log_out("c");
        assert_eq!(accounts.current(), Some("a"));
        accounts.log_out("a");
        assert_eq!(accounts.current(), None);
        assert_eq!(accounts.ids().count(), 3);
        assert!(!accounts.switch("a"));
    }

    #[test]
    fn an_anonymous_user_who_logs_out_is_gone() {
        let mut accounts = accounts(&[("a", ANONYMOUS)]);
        assert_eq!(accounts.anonymous().unwrap().id, "a");
        accounts.log_out("a");
        assert_eq!(accounts, Accounts::default());
    }

    #[test]
    fn a_linked_user_is_not_anonymous() {
        let mut user = account("a", ANONYMOUS);
        user.profile.identities.push(account("a", "api-key").profile.identities.remove(0));
        assert!(!user.is_anonymous());
    }
}
