//! What the official UI is told about the community: preferences and features (contract §5.3).

use super::{Config, ConfigError};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// Preferences, by the sections that the official UI knows them by.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Preferences {
    /// Words.
    pub text: Text,
    /// Letters.
    pub style: Style,
    /// Colours.
    pub colors: Colors,
    /// Pictures at the top of a page.
    pub logo: Logo,
    /// How members of the staff are marked.
    pub staff: Staff,
    /// What is switched on.
    pub addons: Addons,
    /// Where things are.
    pub configurations: Configurations,
    /// Any others, as `section.name`.
    pub other: Table,
}

/// Words.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Text {
    /// The community's name.
    pub application_name: String,
}

impl Default for Text {
    fn default() -> Self {
        Self { application_name: "Parlour".into() }
    }
}

/// Letters.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Style {
    /// A CSS font family.
    pub font_family: String,
}

/// Colours, as CSS writes them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Colors {
    /// Of the page.
    pub colorback: String,
    /// Of what matters.
    pub colorprimary: String,
    /// Of what matters less.
    pub colorsecondary: String,
    /// Of the bar at the top.
    pub navbarback: String,
    /// Of text.
    pub font_color: String,
    /// Of text that matters less.
    pub font_color_secondary: String,
}

/// Pictures at the top of a page.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Logo {
    /// Address of the picture.
    pub navbar_logo: String,
    /// Address of the small one.
    pub navbar_logo_mobile: String,
}

/// How members of the staff are marked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Staff {
    /// In words.
    pub staff_badge_label: String,
    /// Address of a picture.
    pub staff_badge_icon: String,
}

impl Default for Staff {
    fn default() -> Self {
        Self { staff_badge_label: "Staff".into(), staff_badge_icon: String::new() }
    }
}

/// What is switched on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Addons {
    /// Private messages.
    pub private_messages_enabled: bool,
}

impl Default for Addons {
    fn default() -> Self {
        Self { private_messages_enabled: true }
    }
}

/// Where things are in the community's own site: `{name}` stands for that field of what is linked to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Configurations {
    pub url_template_post: String,
    pub url_template_discussion: String,
    pub url_template_status: String,
    pub url_template_comment: String,
    pub url_template_category: String,
    pub url_template_categories_list: String,
    pub url_template_profile: String,
    pub url_template_profile_settings: String,
    pub url_template_notifications: String,
    pub url_template_private_message: String,
    pub url_template_incubator: String,
    pub url_template_live_stream: String,
}

impl Default for Configurations {
    fn default() -> Self {
        Self {
            url_template_post: "/post/{id}".into(),
            url_template_discussion: "/discussion/{id}".into(),
            url_template_status: "/status/{id}".into(),
            url_template_comment: "/{contribution_type}/{contribution_id}/comment/{id}".into(),
            url_template_category: "/category/{id}".into(),
            url_template_categories_list: "/categories".into(),
            url_template_profile: "/user/{id}".into(),
            url_template_profile_settings: "/user/settings".into(),
            url_template_notifications: "/notifications".into(),
            url_template_private_message: "/messages/{id}".into(),
            url_template_incubator: "/incubator/{id}".into(),
            url_template_live_stream: "/live/{id}".into(),
        }
    }
}

/// Features of the community beside private messages.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Features {
    /// Their names.
    pub enabled: Vec<String>,
}

/// Every feature that the official UI has a name for.
pub(crate) const FEATURES: &[&str] = &[
    "addons",
    "advertising",
    "api_v2",
    "app_settings",
    "broadcast",
    "cms",
    "community_subscription",
    "course",
    "customize",
    "customize_headless",
    "data_provisioning_contents",
    "data_provisioning_dashboard",
    "data_provisioning_interests",
    "data_provisioning_polls",
    "data_provisioning_reports",
    "data_provisioning_users",
    "domain",
    "email_manager",
    "event",
    "google_cloud_api",
    "grouping",
    "headless",
    "hotjar",
    "incubators",
    "interests",
    "invitation",
    "legal_pages",
    "live_stream",
    "loyalty",
    "moderation_contents",
    "moderation_flags",
    "moderation_users",
    "moderation_users_blocked",
    "payments",
    "reaction",
    "registration_alerts",
    "scoring",
    "seo",
    "social_providers",
    "social_share",
    "sqreen",
    "stream_settings",
    "system_pages",
    "tagging",
    "user_roles",
    "webhook",
];

/// Features that the official UI would ask this server for, and that it does not have.
const NOT_HERE: &[&str] = &["grouping", "tagging", "reaction"];

/// Preferences that are not the community's to choose: they say how Parlour works.
pub(crate) const DECIDED: &[(&str, &str, bool)] = &[
    ("configurations", "follow_enabled", true),
    ("configurations", "connection_enabled", false),
    ("configurations", "groups_enabled", false),
    ("configurations", "events_enabled", false),
    ("configurations", "courses_enabled", false),
    ("configurations", "live_stream_enabled", false),
    ("addons", "incubator_enabled", false),
    ("providers", "web_push_enabled", false),
];

/// Whether `name` is made as the official names are.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

impl Config {
    /// What is wrong with what the official UI would be told.
    pub(super) fn check_preferences(&self) -> Result<(), ConfigError> {
        let wrong = |key: &str, why: String| Err(ConfigError::Value { key: key.into(), origin: String::new(), why });
        for feature in &self.features.enabled {
            if NOT_HERE.contains(&feature.as_str()) {
                return wrong("features.enabled", format!("Parlour does not have {feature:?}"));
            }
            if !FEATURES.contains(&feature.as_str()) {
                return wrong("features.enabled", format!("the official UI knows no feature {feature:?}"));
            }
        }
        for (name, value) in &self.preferences.other {
            let Some((section, leaf)) =
                name.split_once('.').filter(|(section, leaf)| is_name(section) && is_name(leaf))
            else {
                return wrong("preferences.other", format!("{name:?} must be \"section.name\""));
            };
            if DECIDED.iter().any(|(of, decided, _)| *of == section && *decided == leaf) {
                return wrong("preferences.other", format!("{name:?} says how Parlour works and cannot be set"));
            }
            if super::keys::find(&format!("preferences.{name}")).is_some() {
                return wrong("preferences.other", format!("{name:?} is set as preferences.{name}"));
            }
            if !matches!(value, Value::String(_) | Value::Integer(_) | Value::Boolean(_)) {
                return wrong("preferences.other", format!("{name:?} must be a text, a whole number, true or false"));
            }
        }
        Ok(())
    }
}
