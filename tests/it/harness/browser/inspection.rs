//! Looks at a page as everyone may meet it: light and dark, narrow and wide, through axe-core (WCAG 2.2 AA).
//! Leaves pictures of it in `target/screenshots`.

use serde_json::{Value, json};

use super::Browser;
use crate::harness::waiting::{target_folder, tool};

const SCHEMES: [&str; 2] = ["light", "dark"];

/// Name, width and height: WCAG 2.2 §1.4.10 asks for 320 px, and a laptop.
const SCREENS: [(&str, u32, u32); 2] = [("narrow", 320, 720), ("wide", 1280, 800)];

const AXE: &str = "
    const done = arguments[arguments.length - 1];
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
    axe.run(document, {runOnly: {type: 'tag', values: tags}, resultTypes: ['violations']})
        .then(result => done(result.violations), error => done([{id: String(error), nodes: []}]));
";

/// A colour that is still fading to its new value would be measured as neither.
const SETTLED: &str = "
    const done = arguments[arguments.length - 1];
    requestAnimationFrame(() => Promise.allSettled(document.getAnimations().map(a => a.finished)).then(() => done()));
";

const WIDER_THAN_SCREEN: &str =
    "return document.documentElement.scrollWidth - document.documentElement.clientWidth;";

impl Browser {
    /// The page passes axe-core and fits every screen in both colour schemes.
    pub async fn inspect(&self, name: &str) {
        for scheme in SCHEMES {
            self.prefer(scheme).await;
            for (screen, width, height) in SCREENS {
                self.resize(width, height).await;
                self.photograph(&format!("{name}-{scheme}-{screen}")).await;
                let overhang = self.run(WIDER_THAN_SCREEN).await;
                assert!(
                    overhang.as_i64() <= Some(0),
                    "{name} is {overhang} px wider than a {screen} screen"
                );
                self.assert_accessible(&format!("{name}, {scheme}, {screen}"))
                    .await;
            }
        }
        self.prefer("light").await;
        self.devtools("Emulation.clearDeviceMetricsOverride", json!({}))
            .await;
    }

    /// Leaves a picture of the page as it would be printed.
    pub async fn inspect_on_paper(&self, name: &str) {
        let paper = json!({"media": "print"});
        self.devtools("Emulation.setEmulatedMedia", paper).await;
        self.photograph(name).await;
        self.devtools("Emulation.setEmulatedMedia", json!({"media": ""}))
            .await;
    }

    async fn prefer(&self, scheme: &str) {
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", media).await;
        self.driver
            .execute_async(SETTLED, vec![])
            .await
            .expect("animations end");
    }

    async fn resize(&self, width: u32, height: u32) {
        let screen =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", screen)
            .await;
    }

    async fn photograph(&self, name: &str) {
        let folder = target_folder().join("screenshots");
        std::fs::create_dir_all(&folder).unwrap();
        self.driver
            .screenshot(&folder.join(format!("{name}.png")))
            .await
            .expect("a picture");
    }

    async fn assert_accessible(&self, what: &str) {
        // Scripts sent by WebDriver are not the page's own: its Content-Security-Policy does not hold them up.
        let axe = std::fs::read_to_string(tool("node_modules/axe-core/axe.min.js")).unwrap();
        self.driver
            .execute(axe, vec![])
            .await
            .expect("axe-core loads");
        let violations = self
            .driver
            .execute_async(AXE, vec![])
            .await
            .expect("axe-core runs");
        let violations = violations
            .json()
            .as_array()
            .expect("a list")
            .iter()
            .map(summary)
            .collect::<Vec<_>>();
        assert!(violations.is_empty(), "{what}:\n{}", violations.join("\n"));
    }

    async fn run(&self, script: &str) -> Value {
        self.driver
            .execute(script, vec![])
            .await
            .expect("a script runs")
            .json()
            .clone()
    }
}

fn summary(violation: &Value) -> String {
    let nodes: Vec<_> = violation["nodes"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|node| format!("    {} {}", node["html"], node["failureSummary"]))
        .collect();
    format!(
        "  {}: {}\n{}",
        violation["id"],
        violation["help"],
        nodes.join("\n")
    )
}
