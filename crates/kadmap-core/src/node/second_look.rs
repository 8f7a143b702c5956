//! A second look of a read that found nothing while many who may hold it were silent: they may stand still for a moment, as
//! processes on a busy machine do, and whoever stands in for them knows of nothing.

use super::env::Env;
use super::finder::Finder;
use super::replicas::Replicas;
use super::requests::Owner;
use crate::operation::OperationId;
use crate::wire::{Request, RequestId};
use crate::{Address, Contact, Key, Now};

/// Whom to ask once more, and whether that was done.
pub(super) struct SecondLook<A> {
    /// Who did not answer when the replicas were looked for, or was not asked as it was silent lately.
    silent: Vec<Contact<A>>,
    has_begun: bool,
}

impl<A> Default for SecondLook<A> {
    fn default() -> Self {
        Self { silent: Vec::new(), has_begun: false }
    }
}

impl<A: Address> SecondLook<A> {
    /// After the replicas were found.
    pub(super) fn after(finder: &Finder<A>) -> Self {
        Self { silent: finder.silent(), has_begun: false }
    }

    /// Sends a request of the read; one of the second look is waited for patiently.
    pub(super) fn request<S>(
        &self,
        env: &mut Env<S, A>,
        now: Now,
        to: Contact<A>,
        request: Request,
        operation: OperationId,
    ) -> RequestId {
        let owner = Owner::Operation(operation);
        match self.has_begun {
            true => env.request_patiently(now, to, request, owner),
            false => env.request(now, to, request, owner),
        }
    }

    /// Begins it, unless it has been taken or those that were heard are enough to tell that nothing is there; tells whether
    /// it begins.
    pub(super) fn begin<S, T>(
        &mut self,
        env: &Env<S, A>,
        now: Now,
        key: &Key,
        replicas: &mut Replicas<T, A>,
    ) -> bool {
        if self.has_begun {
            return false;
        }
        // One that was heard since is there all the more: where many are asked at once, all of the first are late.
        let may_answer = |id: &_| !env.peers.is_gone(now.instant, id);
        self.silent.extend(env.table.unresponsive());
        self.silent.retain(|contact| may_answer(&contact.id));
        self.has_begun = replicas.doubt_silence(key, &self.silent, may_answer);
        self.has_begun
    }
}
