//! What the tests are made of: a real gateway in this process, an upstream that remembers what reached it,
//! a mailbox, people with cookies and passkeys, and apps that others wrote.
//!
//! Start with [`gateway::Gateway`]; it is the one place that knows how the product is started.

pub mod app;
pub mod authenticator;
pub mod authority;
pub mod browser;
pub mod bulk;
mod cbor;
pub mod certificates;
pub mod command_line;
pub mod cookies;
pub mod door_authority;
pub mod file_server;
pub mod frames;
pub mod gateway;
pub mod held;
pub mod hostile;
pub mod live;
pub mod load;
pub mod log_file;
pub mod mailbox;
pub mod nginx;
pub mod outer_proxy;
pub mod page;
pub mod person;
pub mod process;
pub mod raw;
pub mod scanner;
pub mod script;
pub mod tls_client;
pub mod tls_server;
pub mod upstream;
pub mod visitor;
pub mod waiting;
pub mod watcher;

pub use gateway::Gateway;
pub use person::Person;
