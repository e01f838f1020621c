//! How often: a member, and an address, may send, search and begin conversations so many times in a span of time.
//!
//! The counts are kept in memory for a bounded number of members and addresses and begin anew with the process. They run on a clock that
//! nobody can set back. What is counted is an attempt: one that is refused for another reason counts too, one that is refused here does not.

use crate::{Caller, Clock, Error, Result};
use governor::clock::Clock as _;
use governor::middleware::{StateInformationMiddleware, StateSnapshot};
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use governor::{NotUntil, Quota, RateLimiter};
use parlour_types::UserId;
use quick_cache::sync::Cache;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Members and addresses that are counted at once at the most; beyond that, whoever was quiet longest begins anew.
const COUNTED: usize = 50_000;

/// So many times in such a span, all at once or spread over it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// How many times.
    pub count: NonZeroU32,
    /// In which span.
    pub per: Duration,
}

/// The limits of one action; `None` for no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ActionLimits {
    /// Of one member.
    pub member: Option<Rate>,
    /// Of one address.
    pub address: Option<Rate>,
}

/// The limits of all actions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LimitRules {
    /// Messages sent: one a recipient.
    pub sends: ActionLimits,
    /// Files uploaded.
    pub uploads: ActionLimits,
    /// Searches for a recipient.
    pub searches: ActionLimits,
    /// Conversations begun with someone never written to before.
    pub new_conversations: ActionLimits,
}

/// What is limited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Sending a message to one recipient.
    Send,
    /// Uploading a file.
    Upload,
    /// Searching for a recipient.
    Search,
    /// Beginning a conversation.
    NewConversation,
}

impl Action {
    /// The limit's name, as callers see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Send => "sends",
            Self::Upload => "uploads",
            Self::Search => "searches",
            Self::NewConversation => "new_conversations",
        }
    }
}

/// Where a caller stands with a limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Allowance {
    /// What is limited.
    pub action: Action,
    /// The limit.
    pub rate: Rate,
    /// How many times more at once.
    pub remaining: u32,
    /// Until all of it is there again; after a refusal, until a next try can succeed.
    pub wait: Duration,
}

/// The counts of one running server.
pub(crate) struct Limits {
    sends: Counts,
    uploads: Counts,
    searches: Counts,
    new_conversations: Counts,
}

impl Limits {
    /// Nothing counted yet.
    pub(crate) fn new(rules: &LimitRules, clock: &Clock) -> Arc<Self> {
        let counts = |limits: ActionLimits| Counts {
            members: limits.member.map(|rate| Counter::new(rate, clock)),
            addresses: limits.address.map(|rate| Counter::new(rate, clock)),
        };
        Arc::new(Self {
            sends: counts(rules.sends),
            uploads: counts(rules.uploads),
            searches: counts(rules.searches),
            new_conversations: counts(rules.new_conversations),
        })
    }

    /// Counts `times` of an action, all or none, and answers where that leaves the caller. More at once than the whole limit counts as the
    /// whole limit, so that it is rare but not impossible.
    ///
    /// # Errors
    /// [`Error::TooOften`].
    pub(crate) fn count(
        &self,
        action: Action,
        caller: Caller,
        address: Option<IpAddr>,
        times: usize,
    ) -> Result<Option<Allowance>> {
        let counts = match action {
            Action::Send => &self.sends,
            Action::Upload => &self.uploads,
            Action::Search => &self.searches,
            Action::NewConversation => &self.new_conversations,
        };
        let Some(times) = u32::try_from(times).ok().and_then(NonZeroU32::new) else { return Ok(None) };
        let of_member = counts.members.as_ref().map(|members| members.count(action, caller.user_id, times));
        let of_member = of_member.transpose()?;
        let of_address = match (&counts.addresses, address.map(network)) {
            (Some(addresses), Some(network)) => Some(addresses.count(action, network, times)?),
            _ => None,
        };
        Ok(of_member.or(of_address))
    }
}

/// What counts as one address: of version 6, the network that one customer is given.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

struct Counts {
    members: Option<Counter<UserId>>,
    addresses: Option<Counter<IpAddr>>,
}

struct Counter<K: Hash + Eq + Clone> {
    rate: Rate,
    limiter: RateLimiter<K, Bounded<K>, Steady, StateInformationMiddleware>,
}

impl<K: Hash + Eq + Clone> Counter<K> {
    fn new(rate: Rate, clock: &Clock) -> Self {
        let one = rate.per.checked_div(rate.count.get()).unwrap_or_default().max(Duration::from_nanos(1));
        let quota = Quota::with_period(one).expect("a time above zero").allow_burst(rate.count);
        Self { rate, limiter: RateLimiter::new(quota, Bounded(Cache::new(COUNTED)), Steady::new(clock)) }
    }

    fn count(&self, action: Action, key: K, times: NonZeroU32) -> Result<Allowance> {
        let outcome = self.limiter.check_key_n(&key, times.min(self.rate.count));
        match outcome.expect("not more than the whole limit") {
            Ok(state) => Ok(self.allowance(action, &state)),
            Err(refused) => Err(Error::TooOften(self.refusal(action, &refused))),
        }
    }

    fn allowance(&self, action: Action, state: &StateSnapshot) -> Allowance {
        let remaining = state.remaining_burst_capacity();
        let one = state.quota().replenish_interval();
        Allowance { action, rate: self.rate, remaining, wait: one * self.rate.count.get().saturating_sub(remaining) }
    }

    fn refusal(&self, action: Action, refused: &NotUntil<Duration>) -> Allowance {
        let wait = refused.wait_time_from(self.limiter.clock().now());
        Allowance { action, rate: self.rate, remaining: 0, wait }
    }
}

/// The counts of a bounded number of keys.
struct Bounded<K>(Cache<K, Arc<InMemoryState>>);

impl<K: Hash + Eq + Clone> StateStore for Bounded<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let fresh = || Ok::<_, std::convert::Infallible>(Arc::default());
        let Ok(state) = self.0.get_or_insert_with(key, fresh);
        state.measure_and_replace(&NotKeyed::NonKey, measure)
    }
}

/// Time that only goes forward: the machine's, or a test's.
#[derive(Clone)]
enum Steady {
    Since(Instant),
    Told(Clock),
}

impl Steady {
    fn new(clock: &Clock) -> Self {
        match clock {
            Clock::System => Self::Since(Instant::now()),
            told @ Clock::Fixed(_) => Self::Told(told.clone()),
        }
    }
}

impl governor::clock::Clock for Steady {
    type Instant = Duration;

    fn now(&self) -> Duration {
        match self {
            Self::Since(start) => start.elapsed(),
            Self::Told(clock) => Duration::from_micros(u64::try_from(clock.now().as_micros()).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parlour_types::Timestamp;

    fn rate(count: u32, seconds: u64) -> Option<Rate> {
        Some(Rate { count: NonZeroU32::new(count).unwrap(), per: Duration::from_secs(seconds) })
    }

    fn caller(id: i64) -> Caller {
        Caller { user_id: UserId::new(id).unwrap() }
    }

    #[test]
    fn a_limit_is_used_up_comes_back_evenly_and_is_each_ones_own() {
        let clock = Clock::fixed(Timestamp::from_micros(1_790_000_000_000_000));
        let sends = ActionLimits { member: rate(60, 60), address: None };
        let limits = Limits::new(&LimitRules { sends, ..LimitRules::default() }, &clock);
        let send = |who, times| limits.count(Action::Send, caller(who), None, times);
        assert_eq!(send(1, 59).unwrap().unwrap().remaining, 1);
        assert_eq!(send(1, 1).unwrap().unwrap().wait, Duration::from_secs(60));
        let Err(Error::TooOften(refusal)) = send(1, 3) else { panic!("the limit is used up") };
        assert_eq!((refusal.remaining, refusal.wait), (0, Duration::from_secs(3)));
        assert_eq!(send(2, 1).unwrap().unwrap().remaining, 59, "somebody else's limit");
        clock.advance(3_000_000);
        assert_eq!(send(1, 3).unwrap().unwrap().remaining, 0, "a second brings one back");
        clock.advance(-3_600_000_000);
        assert!(send(1, 1).is_err(), "a clock set back brings nothing");
        clock.advance(7_200_000_000);
        assert_eq!(send(1, 1000).unwrap().unwrap().remaining, 0, "more than the whole limit is the whole limit");
        assert!(limits.count(Action::Search, caller(1), None, 1).unwrap().is_none(), "what has no limit");
    }

    #[test]
    fn an_address_is_a_host_or_a_customers_network_and_counts_beside_its_members() {
        let clock = Clock::fixed(Timestamp::from_micros(1_790_000_000_000_000));
        let searches = ActionLimits { member: rate(100, 60), address: rate(3, 60) };
        let limits = Limits::new(&LimitRules { searches, ..LimitRules::default() }, &clock);
        let search = |who, from: &str| limits.count(Action::Search, caller(who), Some(from.parse().unwrap()), 1);
        for (who, from) in [(1, "2001:db8:1:2::1"), (2, "2001:db8:1:2:ffff::9"), (3, "2001:db8:1:2::3")] {
            assert!(search(who, from).is_ok());
        }
        assert!(search(4, "2001:db8:1:2::4").is_err());
        assert!(search(4, "2001:db8:1:3::4").is_ok(), "the network beside it");
        for who in 1..=3 {
            assert!(search(who, "192.0.2.7").is_ok());
        }
        assert!(search(4, "::ffff:192.0.2.7").is_err(), "the same host, written in version 6");
        assert!(limits.count(Action::Search, caller(4), None, 1).is_ok(), "an address that is not known");
    }
}
