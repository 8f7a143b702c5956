//! What the fuzzers share.

mod source;
mod speech;
mod world;

pub use source::Source;
pub use world::World;
