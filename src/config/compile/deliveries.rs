//! `[[route]]`, as far as it says how requests are passed on.

use crate::config::{
    Delivery,
    file::{self, File, Section},
    findings::Findings,
};

/// One for each route, in the order of the file.
pub(super) fn all(file: &File, findings: &mut Findings<'_>) -> Option<Vec<Delivery>> {
    let deliveries: Vec<_> = file
        .route
        .iter()
        .map(|section| delivery(section, findings))
        .collect();
    deliveries.into_iter().collect()
}

fn delivery(section: &Section<file::Route>, _findings: &mut Findings<'_>) -> Option<Delivery> {
    Some(Delivery {
        max_body: section
            .value
            .max_body
            .as_ref()
            .map(|size| size.value.bytes()),
    })
}
