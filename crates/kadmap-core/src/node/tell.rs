//! How operations end, told to the user.

use super::env::Env;
use super::finder::Finder;
use super::pages::PageResult;
use super::read::ReadResult;
use super::requests::Owner;
use super::signal::{Signal, SignalKind};
use crate::operation::{AskError, Event, LookupOutcome, OperationId};
use crate::{Address, Contact, Now};

pub(super) fn tell_read<S, A: Address>(
    env: &mut Env<S, A>,
    operation: OperationId,
    result: Option<ReadResult>,
) -> bool {
    let done = result.is_some();
    env.events.extend(result.map(|result| Event::Read { operation, result }));
    done
}

pub(super) fn tell_items<S, A: Address>(
    env: &mut Env<S, A>,
    operation: OperationId,
    result: Option<PageResult>,
) -> bool {
    let done = result.is_some();
    env.events.extend(result.map(|result| Event::Items { operation, result }));
    done
}

pub(super) fn advance_lookup<S, A: Address>(
    env: &mut Env<S, A>,
    now: Now,
    id: OperationId,
    finder: &mut Finder<A>,
) -> bool {
    finder.advance(env, now, Owner::Operation(id));
    if finder.is_done() {
        tell_lookup(env, id, finder);
        return true;
    }
    false
}

pub(super) fn tell_lookup<S, A: Address>(env: &mut Env<S, A>, operation: OperationId, finder: &Finder<A>) {
    let outcome = LookupOutcome { closest: finder.closest(), trace: finder.lookup().trace().to_vec() };
    env.events.push_back(Event::LookedUp { operation, outcome });
}

pub(super) fn tell_answer<S, A: Address>(
    env: &mut Env<S, A>,
    operation: OperationId,
    contact: Contact<A>,
    signal: Signal<A>,
) -> bool {
    let result = match signal.kind {
        SignalKind::Answer { response, round_trip } => Ok((response, round_trip)),
        SignalKind::Silent => Err(AskError::Silent { contact }),
        SignalKind::Slow | SignalKind::Lost | SignalKind::Durable { .. } => return false,
    };
    env.events.push_back(Event::Answered { operation, result });
    true
}
