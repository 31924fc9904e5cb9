//! The tests of the device flow, of silent acquisition and of the cache from MSAL's own repositories, as behaviour of
//! this core: M01 to M31, then the silent and cache suites. Where ours differs by choice, the test shows ours and says
//! why.

mod caches;
mod dotnet;
mod entra;
mod go;
mod node;
mod python;
