//! A running node.
#![expect(clippy::too_many_arguments, reason = "keyword arguments of Python, each with its default")]

use std::future::IntoFuture;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kadmap::{Dht, PeerInfo, Stopped, Write};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tokio::task::JoinSet;

use crate::errors;
use crate::operation::Way;
use crate::outcome::JoinFailure;
use crate::process::OfProcess;
use crate::queue::Queue;
use crate::results::host_of;
use crate::runtime::RuntimeThread;
use crate::scan::Scan;
use crate::settings::{Options, seconds, tuned};
use crate::start::{Settings, Start};
use crate::wait::block_at_most;
use crate::{lists, place, value, watch};

/// How long a stop waits for the socket to be closed: it takes milliseconds, unless the user's own code is in the way.
const STOP_WAIT: Duration = Duration::from_secs(1);

/// A running node.
///
/// Without a queue an operation blocks and returns its result or raises; with one it returns an Operation at once, and
/// the outcome arrives there under the token.
#[pyclass(frozen, weakref, module = "kadmap._kadmap")]
pub(crate) struct Node(OfProcess<Running>);

struct Running {
    dht: Dht,
    runtime: Arc<RuntimeThread>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let (dht, runtime) = (self.dht.clone(), Arc::clone(&self.runtime));
        self.runtime.spawn(async move {
            dht.stop().await;
            // A thread of the node's own ends with it, not before.
            drop(runtime);
        });
    }
}

impl Node {
    pub(crate) fn new(dht: Dht, runtime: Arc<RuntimeThread>) -> Self {
        Self(OfProcess::new(Running { dht, runtime }))
    }

    fn write(
        &self,
        py: Python<'_>,
        way: Way,
        options: Options,
        write: impl for<'a> FnOnce(&'a Dht) -> Write<'a> + Send + 'static,
    ) -> PyResult<Py<PyAny>> {
        let running = self.0.here()?;
        let dht = running.dht.clone();
        way.run(py, &running.runtime, async move { options.write(write(&dht)).await })
    }
}

#[pymethods]
impl Node {
    /// Starts a node and joins it to a swarm.
    #[staticmethod]
    #[pyo3(signature = (*, listen=None, join=vec![], join_timeout=None, join_retry=false, data_dir=None, secret=None,
        pki=None, replication=None, consistency=None, durability=None, scrub_interval=None, value_bytes_max=None,
        record_bytes_max=None, operation_timeout=None, info=None, client=false, packet_loss=0.0, storage=None, guard=None, queue=None,
        token=0))]
    fn start(
        py: Python<'_>,
        listen: Option<String>,
        join: Vec<String>,
        join_timeout: Option<f64>,
        join_retry: bool,
        data_dir: Option<PathBuf>,
        secret: Option<Vec<u8>>,
        pki: Option<(PathBuf, PathBuf, PathBuf)>,
        replication: Option<usize>,
        consistency: Option<String>,
        durability: Option<String>,
        scrub_interval: Option<f64>,
        value_bytes_max: Option<usize>,
        record_bytes_max: Option<u64>,
        operation_timeout: Option<f64>,
        info: Option<String>,
        client: bool,
        packet_loss: f64,
        storage: Option<Py<PyAny>>,
        guard: Option<Py<PyAny>>,
        queue: Option<&Bound<'_, Queue>>,
        token: u64,
    ) -> PyResult<Py<PyAny>> {
        let settings = Settings {
            listen,
            join,
            join_timeout,
            join_retry,
            data_dir,
            secret,
            pki,
            replication,
            consistency,
            durability,
            scrub_interval,
            value_bytes_max,
            record_bytes_max,
            operation_timeout,
            info,
            client,
            packet_loss,
            storage,
            guard,
        };
        let start = Start::new(py, settings)?;
        let runtime = start.runtime();
        Way::new(queue, token)?.run(py, &runtime, start.run())
    }

    /// Its id, 32 bytes.
    #[getter]
    fn id<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, self.0.here()?.dht.id().as_bytes()))
    }

    /// The IP address that its socket is bound to.
    #[getter]
    fn host(&self) -> PyResult<String> {
        Ok(host_of(&self.0.here()?.dht.address()))
    }

    /// The port that its socket is bound to.
    #[getter]
    fn port(&self) -> PyResult<u16> {
        Ok(self.0.here()?.dht.address().port())
    }

    /// Whether it has stopped, or belongs to the process that this one was forked from.
    #[getter]
    fn closed(&self) -> bool {
        self.0.here().map_or(true, |running| running.dht.is_stopped())
    }

    /// Stores a value in the place of whatever is there.
    #[pyo3(signature = (name, value, *, place=None, ttl=None, timeout=None, consistency=None, if_version=None,
        queue=None, token=0))]
    fn put(
        &self,
        py: Python<'_>,
        name: Vec<u8>,
        value: &Bound<'_, PyAny>,
        place: Option<&Bound<'_, PyAny>>,
        ttl: Option<f64>,
        timeout: Option<f64>,
        consistency: Option<&str>,
        if_version: Option<&str>,
        queue: Option<&Bound<'_, Queue>>,
        token: u64,
    ) -> PyResult<Py<PyAny>> {
        let value = value::of_python(value)?;
        let options = Options::new(place, timeout, consistency)?.ttl(ttl)?.if_version(if_version)?;
        self.write(py, Way::new(queue, token)?, options, move |dht| dht.put_value(name, value))
    }

    /// Adds an item to a list, which comes to be if nothing is there.
    #[pyo3(signature = (name, value, *, place=None, ttl=None, timeout=None, consistency=None, queue=None, token=0))]
    fn append(
        &self,
        py: Python<'_>,
        name: Vec<u8>,
        value: &Bound<'_, PyAny>,
        place: Option<&Bound<'_, PyAny>>,
        ttl: Option<f64>,
        timeout: Option<f64>,
        consistency: Option<&str>,
        queue: Option<&Bound<'_, Queue>>,
        token: u64,
    ) -> PyResult<Py<PyAny>> {
        let value = value::of_python(value)?;
        let options = Options::new(place, timeout, consistency)?.ttl(ttl)?;
        self.write(py, Way::new(queue, token)?, options, move |dht| dht.append_value(name, value))
    }

    /// Writes one field of a map, which comes to be if nothing is there.
    #[pyo3(signature = (name, field, value, *, place=None, ttl=None, timeout=None, consistency=None, queue=None,
        token=0))]
    fn put_field(
        &self,
        py: Python<'_>,
        name: Vec<u8>,
        field: String,
        value: &Bound<'_, PyAny>,
        place: Option<&Bound<'_, PyAny>>,
        ttl: Option<f64>,
        timeout: Option<f64>,
        consistency: Option<&str>,
        queue: Option<&Bound<'_, Queue>>,
        token: u64,
    ) -> PyResult<Py<PyAny>> {
        let value = value::of_python(value)?;
        let options = Options::new(place, timeout, consistency)?.ttl(ttl)?;
        self.write(py, Way::new(queue, token)?, options, move |dht| dht.put_field_value(name, field, value))
    }

    /// Removes one field of a map.
    #[pyo3(signature = (name, field, *, place=None, timeout=None, consistency=None, queue=None, token=0))]
    fn delete_field(
        &self,
        py: Python<'_>,
        name: Vec<u8>,
        field: String,
        place: Option<&Bound<'_, PyAny>>,
        timeout: Option<f64>,
        consistency: Option<&str>,
        queue: Option<&Bound<'_, Queue>>,
        token: u64,
    ) -> PyResult<Py<PyAny>> {
        let options = Options::new(place, timeout, consistency)?;
        self.write(py, Way::new(queue, token)?, options, move |dht| dht.delete_field(name, field))
    }

    /// Removes whatever is there; that nothing was there is no error.
    #[pyo3(signature = (name, *, place=None, timeout=None, consistency=None, queue=None, token=0))]
    fn delete(
        &self,
        py: Python<'_>,
        name: Vec<u8>,
        place: Option<&Bound<'_, PyAny>>,
        timeout: Option<f64>,
        consistency: Option<&str>,
        queue: Option<&Bound<'_, Queue>>,
        token: u64,
    ) -> PyResult<Py<PyAny>> {
        let options = Options::new(place, timeout, consistency)?;
        self.write(py, Way::new(queue, token)?, options, move |dht| dht.delete(name))
    }

    /// Reads what is there.
    #[pyo3(signature = (name, *, place=None, timeout=None, consistency=None, queue=None, token=0))]
    fn get(
        &self,
        py: Python<'_>,
        name: Vec<u8>,
        place: Option<&Bound<'_, PyAny>>,
        timeout: Option<f64>,
        consistency: Option<&str>,
        queue: Option<&Bound<'_, Queue>>,
        token: u64,
    ) -> PyResult<Py<PyAny>> {
        let options = Options::new(place, timeout, consistency)?;
        let running = self.0.here()?;
        let dht = running.dht.clone();
        let read = async move { options.read(dht.read(name)).await };
        Way::new(queue, token)?.run(py, &running.runtime, read)
    }

    /// One page of a list: items as (id, expires_ms, value), the `after` of the next page, and whether anything is there.
    #[pyo3(signature = (name, *, after=None, limit=512, place=None, timeout=None, consistency=None, queue=None,
        token=0))]
    fn items(
        &self,
        py: Python<'_>,
        name: Vec<u8>,
        after: Option<&str>,
        limit: usize,
        place: Option<&Bound<'_, PyAny>>,
        timeout: Option<f64>,
        consistency: Option<&str>,
        queue: Option<&Bound<'_, Queue>>,
        token: u64,
    ) -> PyResult<Py<PyAny>> {
        let options = Options::new(place, timeout, consistency)?;
        let running = self.0.here()?;
        let dht = running.dht.clone();
        let after = after.map(lists::item_id).transpose()?;
        Way::new(queue, token)?.run(py, &running.runtime, lists::page(dht, name, after, limit, options))
    }

    /// Removes one item of a list by its id.
    #[pyo3(signature = (name, id, *, place=None, timeout=None, consistency=None, queue=None, token=0))]
    fn remove(
        &self,
        py: Python<'_>,
        name: Vec<u8>,
        id: &str,
        place: Option<&Bound<'_, PyAny>>,
        timeout: Option<f64>,
        consistency: Option<&str>,
        queue: Option<&Bound<'_, Queue>>,
        token: u64,
    ) -> PyResult<Py<PyAny>> {
        let options = Options::new(place, timeout, consistency)?;
        let running = self.0.here()?;
        let dht = running.dht.clone();
        let remove = tuned!(options, dht.remove(name, lists::item_id(id)?));
        Way::new(queue, token)?.run(py, &running.runtime, remove.into_future())
    }

    /// Drops the oldest of a list; None when there was nothing to drop.
    #[pyo3(signature = (name, *, keep=None, up_to=None, since_ms=None, place=None, timeout=None, consistency=None,
        queue=None, token=0))]
    fn trim(
        &self,
        py: Python<'_>,
        name: Vec<u8>,
        keep: Option<u64>,
        up_to: Option<&str>,
        since_ms: Option<u64>,
        place: Option<&Bound<'_, PyAny>>,
        timeout: Option<f64>,
        consistency: Option<&str>,
        queue: Option<&Bound<'_, Queue>>,
        token: u64,
    ) -> PyResult<Py<PyAny>> {
        let options = Options::new(place, timeout, consistency)?;
        let running = self.0.here()?;
        let dht = running.dht.clone();
        let trim = tuned!(options, dht.trim(name, lists::keep(keep, up_to, since_ms)?));
        Way::new(queue, token)?.run(py, &running.runtime, trim.into_future())
    }

    /// Announces this node, or the one of the id, until the announcement is stopped or dropped.
    #[pyo3(signature = (name, payload, *, id=None, ttl=None, place=None, timeout=None, consistency=None, queue=None,
        token=0))]
    fn announce(
        &self,
        py: Python<'_>,
        name: Vec<u8>,
        payload: &Bound<'_, PyAny>,
        id: Option<&str>,
        ttl: Option<f64>,
        place: Option<&Bound<'_, PyAny>>,
        timeout: Option<f64>,
        consistency: Option<&str>,
        queue: Option<&Bound<'_, Queue>>,
        token: u64,
    ) -> PyResult<Py<PyAny>> {
        let options = Options::new(place, timeout, consistency)?;
        let running = self.0.here()?;
        let dht = running.dht.clone();
        let (id, payload) = (id.map(lists::node_id).transpose()?, value::of_python(payload)?);
        let ttl = ttl.map(|ttl| seconds("ttl", ttl)).transpose()?;
        let runtime = Arc::clone(&running.runtime);
        Way::new(queue, token)?.run(py, &running.runtime, async move {
            let announcement = lists::announce(dht, name, payload, id, ttl, options).await;
            lists::Begun { announcement, runtime }
        })
    }

    /// Announces this node, or the one of the id, without renewing it.
    #[pyo3(signature = (name, payload, *, id=None, ttl=None, place=None, timeout=None, consistency=None, queue=None,
        token=0))]
    fn announce_once(
        &self,
        py: Python<'_>,
        name: Vec<u8>,
        payload: &Bound<'_, PyAny>,
        id: Option<&str>,
        ttl: Option<f64>,
        place: Option<&Bound<'_, PyAny>>,
        timeout: Option<f64>,
        consistency: Option<&str>,
        queue: Option<&Bound<'_, Queue>>,
        token: u64,
    ) -> PyResult<Py<PyAny>> {
        let options = Options::new(place, timeout, consistency)?;
        let running = self.0.here()?;
        let dht = running.dht.clone();
        let (id, payload) = (id.map(lists::node_id).transpose()?, value::of_python(payload)?);
        let ttl = ttl.map(|ttl| seconds("ttl", ttl)).transpose()?;
        let announced = lists::announce_once(dht, name, payload, id, ttl, options);
        Way::new(queue, token)?.run(py, &running.runtime, announced)
    }

    /// Withdraws what was announced for a node; that nothing was is no error.
    #[pyo3(signature = (name, id=None, *, place=None, timeout=None, consistency=None, queue=None, token=0))]
    fn withdraw(
        &self,
        py: Python<'_>,
        name: Vec<u8>,
        id: Option<&str>,
        place: Option<&Bound<'_, PyAny>>,
        timeout: Option<f64>,
        consistency: Option<&str>,
        queue: Option<&Bound<'_, Queue>>,
        token: u64,
    ) -> PyResult<Py<PyAny>> {
        let options = Options::new(place, timeout, consistency)?;
        let running = self.0.here()?;
        let dht = running.dht.clone();
        let id = id.map(lists::node_id).transpose()?.unwrap_or(dht.id());
        let withdraw = tuned!(options, dht.withdraw(name, id));
        Way::new(queue, token)?.run(py, &running.runtime, withdraw.into_future())
    }

    /// Who is announced, as (id, payload, expires_ms).
    #[pyo3(signature = (name, *, place=None, timeout=None, consistency=None, queue=None, token=0))]
    fn providers(
        &self,
        py: Python<'_>,
        name: Vec<u8>,
        place: Option<&Bound<'_, PyAny>>,
        timeout: Option<f64>,
        consistency: Option<&str>,
        queue: Option<&Bound<'_, Queue>>,
        token: u64,
    ) -> PyResult<Py<PyAny>> {
        let options = Options::new(place, timeout, consistency)?;
        let running = self.0.here()?;
        let dht = running.dht.clone();
        let providers = tuned!(options, dht.providers(name));
        Way::new(queue, token)?.run(py, &running.runtime, providers.into_future())
    }

    /// Begins to watch a name.
    #[pyo3(signature = (name, *, place=None, initial=true, timeout=None, queue=None, token=0))]
    fn watch(
        &self,
        py: Python<'_>,
        name: Vec<u8>,
        place: Option<&Bound<'_, PyAny>>,
        initial: bool,
        timeout: Option<f64>,
        queue: Option<&Bound<'_, Queue>>,
        token: u64,
    ) -> PyResult<Py<PyAny>> {
        let running = self.0.here()?;
        let (dht, runtime) = (running.dht.clone(), Arc::clone(&running.runtime));
        let place = place.map(place::of_python).transpose()?;
        let timeout = timeout.map(|timeout| seconds("timeout", timeout)).transpose()?;
        let begun = watch::begin(dht, runtime, name, place, initial, timeout);
        Way::new(queue, token)?.run(py, &running.runtime, begun)
    }

    /// The names of the records that this node holds itself.
    #[pyo3(signature = (queue=None, token=0))]
    fn names(&self, py: Python<'_>, queue: Option<&Bound<'_, Queue>>, token: u64) -> PyResult<Py<PyAny>> {
        let running = self.0.here()?;
        let dht = running.dht.clone();
        Way::new(queue, token)?.run(py, &running.runtime, async move { dht.keys().await })
    }

    /// The names of the swarm's records at one place, in order.
    #[pyo3(signature = (place, queue=None, token=0))]
    fn names_at(
        &self,
        py: Python<'_>,
        place: &Bound<'_, PyAny>,
        queue: Option<&Bound<'_, Queue>>,
        token: u64,
    ) -> PyResult<Py<PyAny>> {
        let running = self.0.here()?;
        let (dht, place) = (running.dht.clone(), place::of_python(place)?);
        let names = async move { dht.names_at(dht.place_of(&place)).await };
        Way::new(queue, token)?.run(py, &running.runtime, names)
    }

    /// The names of all records in the swarm, page by page.
    fn scan(&self) -> PyResult<Scan> {
        let running = self.0.here()?;
        let scan = running.dht.scan().map_err(errors::of_stopped)?;
        Ok(Scan::new(running.dht.clone(), Arc::clone(&running.runtime), scan))
    }

    /// Joins, while it runs, by the addresses of any members; one that answers in time is enough.
    #[pyo3(signature = (addresses, timeout, queue=None, token=0))]
    fn join(
        &self,
        py: Python<'_>,
        addresses: Vec<String>,
        timeout: f64,
        queue: Option<&Bound<'_, Queue>>,
        token: u64,
    ) -> PyResult<Py<PyAny>> {
        let running = self.0.here()?;
        let (dht, timeout) = (running.dht.clone(), seconds("timeout", timeout)?);
        Way::new(queue, token)?.run(py, &running.runtime, async move {
            let joined = dht.join(addresses, timeout).await;
            if dht.is_stopped() {
                Err(JoinFailure::Stopped(Stopped))
            } else {
                joined.map_err(JoinFailure::Start)
            }
        })
    }

    /// The contacts in its routing table, in id order.
    #[pyo3(signature = (queue=None, token=0))]
    fn peers(&self, py: Python<'_>, queue: Option<&Bound<'_, Queue>>, token: u64) -> PyResult<Py<PyAny>> {
        let running = self.0.here()?;
        let dht = running.dht.clone();
        Way::new(queue, token)?.run(py, &running.runtime, async move { dht.peers().await })
    }

    /// Asks every live contact what it tells of itself; None for those that do not answer in time.
    #[pyo3(signature = (timeout, queue=None, token=0))]
    fn peers_info(
        &self,
        py: Python<'_>,
        timeout: f64,
        queue: Option<&Bound<'_, Queue>>,
        token: u64,
    ) -> PyResult<Py<PyAny>> {
        let running = self.0.here()?;
        let (dht, timeout) = (running.dht.clone(), seconds("timeout", timeout)?);
        Way::new(queue, token)?.run(py, &running.runtime, peers_info(dht, timeout))
    }

    /// How this node is.
    #[pyo3(signature = (queue=None, token=0))]
    fn status(&self, py: Python<'_>, queue: Option<&Bound<'_, Queue>>, token: u64) -> PyResult<Py<PyAny>> {
        let running = self.0.here()?;
        let dht = running.dht.clone();
        Way::new(queue, token)?.run(py, &running.runtime, async move { dht.status().await })
    }

    /// Looks up the nodes closest to a name's place by asking the swarm.
    #[pyo3(signature = (name, *, place=None, queue=None, token=0))]
    fn lookup(
        &self,
        py: Python<'_>,
        name: Vec<u8>,
        place: Option<&Bound<'_, PyAny>>,
        queue: Option<&Bound<'_, Queue>>,
        token: u64,
    ) -> PyResult<Py<PyAny>> {
        let running = self.0.here()?;
        let (dht, key) = (running.dht.clone(), self.key_of(&name, place)?);
        Way::new(queue, token)?.run(py, &running.runtime, async move { dht.lookup(key).await })
    }

    /// The place of a name as an int of 256 bits, most significant byte first.
    #[pyo3(signature = (name, place=None))]
    fn place_of<'py>(
        &self,
        py: Python<'py>,
        name: Vec<u8>,
        place: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        place::to_python(py, self.key_of(&name, place)?.as_bytes())
    }

    /// Hands over what others lack, says goodbye and stops; returns how many records were handed over.
    #[pyo3(signature = (timeout, queue=None, token=0))]
    fn leave(
        &self,
        py: Python<'_>,
        timeout: f64,
        queue: Option<&Bound<'_, Queue>>,
        token: u64,
    ) -> PyResult<Py<PyAny>> {
        let running = self.0.here()?;
        let (dht, timeout) = (running.dht.clone(), seconds("timeout", timeout)?);
        Way::new(queue, token)?.run(py, &running.runtime, leave(dht, timeout))
    }

    /// Stops at once, without a hand-over or a goodbye; whatever is under way ends with Stopped.
    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        let running = self.0.here()?;
        let dht = running.dht.clone();
        if running.runtime.is_current() {
            // From the user's own storage or guard: it ends when that has returned.
            running.runtime.spawn(async move { dht.stop().await });
            return Ok(());
        }
        // A node that is busy with the user's own code for longer ends when that has returned.
        block_at_most(py, &running.runtime, STOP_WAIT, async move { dht.stop().await })?;
        Ok(())
    }

    fn __repr__(&self) -> String {
        match self.0.here() {
            Ok(running) => format!("<kadmap node {} at {}>", running.dht.id().short(), running.dht.address()),
            Err(_) => "<kadmap node of a parent process>".to_owned(),
        }
    }
}

impl Node {
    fn key_of(&self, name: &[u8], place: Option<&Bound<'_, PyAny>>) -> PyResult<kadmap::Key> {
        let dht = &self.0.here()?.dht;
        match place {
            Some(place) => Ok(dht.place_of(&place::of_python(place)?)),
            None => Ok(dht.key_of(name)),
        }
    }
}

/// All contacts, each with what it tells of itself.
async fn peers_info(dht: Dht, timeout: Duration) -> Result<Vec<(PeerInfo, Option<String>)>, Stopped> {
    let peers = dht.peers().await?;
    let mut asked = JoinSet::new();
    for (index, peer) in peers.iter().enumerate().filter(|(_, peer)| peer.live) {
        let remote = dht.remote(peer.id, peer.address);
        let status = async move { tokio::time::timeout(timeout, remote.status()).await };
        asked.spawn(async move { (index, status.await.ok().and_then(Result::ok)) });
    }
    let mut told: Vec<_> = peers.into_iter().map(|peer| (peer, None)).collect();
    while let Some(answer) = asked.join_next().await {
        if let Ok((index, Some(status))) = answer
            && let Some(peer) = told.get_mut(index)
        {
            peer.1 = Some(status.info);
        }
    }
    Ok(told.into_iter().filter(|(peer, _)| peer.live).collect())
}

/// Leaves within a time; what is not handed over then stays with the others' replicas.
async fn leave(dht: Dht, timeout: Duration) -> Result<u64, Stopped> {
    let left = tokio::time::timeout(timeout, dht.leave()).await;
    // The goodbye is said; what follows frees the socket and the data folder.
    dht.stop().await;
    left.unwrap_or_else(|_| {
        tracing::warn!("left before everything was handed over: it took longer than {timeout:?}");
        Ok(0)
    })
}
