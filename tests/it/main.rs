//! The tests that drive a real gateway: one binary, so that it is linked once.

mod harness;

mod address;
mod administration;
mod backup_codes;
mod balancing;
mod command_line;
mod crash;
mod enrolment;
mod forwarding;
mod hosts;
mod grpc;
mod identity;
mod journeys;
mod legacy_apps;
mod mail_delivery;
mod not_me;
mod own_pages;
mod pairing;
mod passkey;
mod protocols;
mod readings;
mod records;
mod recovery;
mod retries;
mod session;
mod session_end;
mod sign_in_email;
mod step_up;
mod store_trouble;
mod upstream_log;
mod upstream_protocols;
mod upstream_timeouts;
mod upstream_tls;
mod ways_back;
