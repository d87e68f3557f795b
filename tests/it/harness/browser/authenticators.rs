//! The virtual authenticators of WebDriver (WebAuthn L3 §11.2): what thirtyfour has no methods for.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use thirtyfour::{
    WebDriver,
    common::command::{Command as DriverCommand, ExtensionCommand},
};

use super::Browser;

#[derive(Debug)]
struct Command {
    method: Method,
    endpoint: String,
    parameters: Option<Value>,
}

impl ExtensionCommand for Command {
    fn parameters_json(&self) -> Option<Value> {
        self.parameters.clone()
    }

    fn method(&self) -> Method {
        self.method.clone()
    }

    fn endpoint(&self) -> Arc<str> {
        self.endpoint.as_str().into()
    }
}

/// Adds the device's own authenticator; gives its id.
pub async fn add_platform(driver: &WebDriver) -> String {
    add(driver, "internal").await
}

async fn add(driver: &WebDriver, transport: &str) -> String {
    let authenticator = json!({
        "protocol": "ctap2_1",
        "transport": transport,
        "hasResidentKey": true,
        "hasUserVerification": true,
        "isUserVerified": true,
        "isUserConsenting": true,
    });
    let added = send(driver, Method::POST, "", Some(authenticator)).await;
    added.as_str().expect("an authenticator's id").to_owned()
}

async fn send(driver: &WebDriver, method: Method, path: &str, parameters: Option<Value>) -> Value {
    let command = Command {
        method,
        endpoint: format!("/webauthn/authenticator{path}"),
        parameters,
    };
    let answer = driver
        .cmd(DriverCommand::ExtensionCommand(Box::new(command)))
        .await;
    answer
        .expect("a virtual authenticator")
        .value()
        .unwrap_or(Value::Null)
}

impl Browser {
    /// The passkeys on this device vanish: it was reset, or is another one.
    pub async fn lose_passkeys(&self) {
        let path = format!("/{}/credentials", self.authenticator);
        send(&self.driver, Method::DELETE, &path, None).await;
    }

    /// How many passkeys this device holds.
    pub async fn passkeys_on_this_device(&self) -> usize {
        let path = format!("/{}/credentials", self.authenticator);
        let credentials = send(&self.driver, Method::GET, &path, None).await;
        credentials.as_array().expect("a list").len()
    }

    /// From now on the person does, or does not, manage to unlock the device.
    pub async fn unlocks_device(&self, unlocks: bool) {
        let path = format!("/{}/uv", self.authenticator);
        send(
            &self.driver,
            Method::POST,
            &path,
            Some(json!({"isUserVerified": unlocks})),
        )
        .await;
    }

    /// Plugs in a hardware key.
    pub async fn plug_in_hardware_key(&self) {
        add(&self.driver, "usb").await;
    }
}
