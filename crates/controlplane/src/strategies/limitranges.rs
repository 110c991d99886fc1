//! LimitRanges: the least is no more than the default, and that no more than the most, in upstream's words
//! (`ValidateLimitRange`). Nothing is limited here: a range is an object like others.

use detectviz_api::Cause;
use detectviz_api::names::check_label_key;
use detectviz_api::quantity::Quantity;
use detectviz_server::strategy::Strategy;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

use super::amounts::{Names, list, name_faults};
use super::causes::{forbidden, invalid, required};
use super::network::{Once, items};
use super::text;

const TYPES: [&str; 3] = ["Pod", "Container", "PersistentVolumeClaim"];

pub(super) struct LimitRanges;

impl Strategy for LimitRanges {
    fn normalize(&self, object: &mut Value) {
        fill(object);
    }

    fn validate(&self, object: &Value) -> Vec<Cause> {
        let mut faults = Vec::new();
        let mut types = Once::default();
        for (index, limit) in items(object, "/spec/limits").iter().enumerate() {
            let field = format!("spec.limits[{index}]");
            let kind = text(limit, "/type");
            let at = format!("{field}.type");
            faults.extend(check_label_key(kind).err().map(|why| invalid(&at, kind, &why)));
            if !kind.contains('/') && !TYPES.contains(&kind) {
                faults.push(invalid(&at, kind, "must be a standard limit type or fully qualified"));
            }
            faults.extend(types.fault(&at, kind));
            faults.extend(limit_faults(&field, limit, kind));
        }
        faults
    }
}

/// A container's default limit is the most there may be, and its default request that limit, or else the least.
fn fill(range: &mut Value) {
    let limits = range.pointer_mut("/spec/limits").and_then(Value::as_array_mut);
    for limit in limits.into_iter().flatten().filter(|limit| limit["type"] == "Container") {
        for (from, to) in [("max", "default"), ("default", "defaultRequest"), ("min", "defaultRequest")] {
            let Some(given) = limit.get(from).and_then(Value::as_object).cloned() else { continue };
            let Some(limit) = limit.as_object_mut() else { continue };
            let target = limit.entry(to).or_insert_with(|| Map::new().into());
            if target.is_null() {
                *target = Map::new().into();
            }
            let Some(target) = target.as_object_mut() else { continue };
            for (name, amount) in given {
                target.entry(name).or_insert(amount);
            }
        }
    }
}

/// The amounts of one limit, by the name of their field.
struct Limit<'v> {
    field: &'v str,
    lists: BTreeMap<&'static str, BTreeMap<&'v str, Quantity>>,
}

fn limit_faults(field: &str, limit: &Value, kind: &str) -> Vec<Cause> {
    let names = if matches!(kind, "Pod" | "Container") { Names::Container } else { Names::Any };
    let fields = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"];
    let lists: BTreeMap<_, _> = fields.map(|name| (name, list(limit, &format!("/{name}")))).into();
    let mut faults = Vec::new();
    for name in fields {
        if kind == "Pod" && name.starts_with("default") {
            let is_set = !lists[name].is_empty();
            let fault = || forbidden(&format!("{field}.{name}"), "may not be specified when `type` is 'Pod'");
            faults.extend(is_set.then(fault));
            continue;
        }
        for resource in lists[name].keys() {
            faults.extend(name_faults(&format!("{field}.{name}[{resource}]"), resource, names));
        }
    }
    if kind == "PersistentVolumeClaim"
        && ["min", "max"].iter().all(|name| !lists[name].contains_key("storage"))
    {
        let why = "either minimum or maximum storage value is required, but neither was provided";
        faults.push(required(&format!("{field}.limits"), why));
    }
    let resources: BTreeSet<&str> = lists.values().flat_map(BTreeMap::keys).copied().collect();
    let limit = Limit { field, lists };
    for resource in resources {
        faults.extend(limit.order_faults(resource));
        faults.extend(limit.ratio_faults(resource));
    }
    faults
}

impl Limit<'_> {
    fn of(&self, name: &str, resource: &str) -> Option<Quantity> {
        self.lists[name].get(resource).copied()
    }

    fn at(&self, name: &str, resource: &str) -> String {
        format!("{}.{name}[{resource}]", self.field)
    }

    fn order_faults(&self, resource: &str) -> Vec<Cause> {
        // What is too small, than what, where and with which of the two it is told, and the words.
        let pairs = [
            ("min", "max", "min", "min", ["min value", "max value"]),
            (
                "min",
                "defaultRequest",
                "defaultRequest",
                "defaultRequest",
                ["min value", "default request value"],
            ),
            (
                "defaultRequest",
                "max",
                "defaultRequest",
                "defaultRequest",
                ["default request value", "max value"],
            ),
            (
                "defaultRequest",
                "default",
                "defaultRequest",
                "defaultRequest",
                ["default request value", "default limit value"],
            ),
            ("min", "default", "default", "min", ["min value", "default value"]),
            ("default", "max", "default", "max", ["default value", "max value"]),
        ];
        let mut faults = Vec::new();
        for (less, more, field, shown, words) in pairs {
            let (Some(less), Some(more)) = (self.of(less, resource), self.of(more, resource)) else {
                continue;
            };
            if less > more
                && let Some(shown) = self.of(shown, resource)
            {
                let why = format!("{} {less} is greater than {} {more}", words[0], words[1]);
                faults.push(invalid(&self.at(field, resource), shown.to_string(), &why));
            }
        }
        faults
    }

    fn ratio_faults(&self, resource: &str) -> Vec<Cause> {
        let mut faults = Vec::new();
        let field = self.at("maxLimitRequestRatio", resource);
        if let Some(ratio) = self.of("maxLimitRequestRatio", resource) {
            let one: Option<Quantity> = "1".parse().ok();
            if one.is_some_and(|one| ratio < one) {
                faults.push(invalid(&field, ratio.to_string(), &format!("ratio {ratio} is less than 1")));
            }
            if let (Some(min), Some(max)) = (self.of("min", resource), self.of("max", resource)) {
                let most = max.to_f64() / min.to_f64();
                if ratio.to_f64() > most {
                    let why = format!("ratio {ratio} is greater than max/min = {most:.6}");
                    faults.push(invalid(&field, ratio.to_string(), &why));
                }
            }
        }
        let overcommits = !resource.contains('/') && !resource.starts_with("hugepages-");
        if let (Some(limit), Some(request)) =
            (self.of("default", resource), self.of("defaultRequest", resource))
            && !overcommits
            && limit != request
        {
            let why =
                format!("default value {limit} must equal to defaultRequest value {request} in {resource}");
            faults.push(invalid(&self.at("defaultRequest", resource), request.to_string(), &why));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategies::read;
    use serde_json::json;

    fn check(limits: &Value, expected: &[&str]) {
        let range = json!({"spec": {"limits": limits}});
        assert_eq!(read(&LimitRanges.validate(&range)), expected, "{range}");
    }

    #[test]
    fn a_containers_defaults_follow_from_its_bounds() {
        let mut range = json!({"spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Mi"}},
            {"type": "Pod", "max": {"cpu": "4"}}]}});
        LimitRanges.normalize(&mut range);
        assert_eq!(
            range["spec"]["limits"],
            json!([{"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Mi"}, "default": {"cpu": "2"},
                "defaultRequest": {"cpu": "2", "memory": "1Mi"}}, {"type": "Pod", "max": {"cpu": "4"}}])
        );
    }

    #[test]
    fn types_and_names_are_known() {
        check(&json!([{"type": "Container", "max": {"cpu": "2"}}, {"type": "example.org/own"}]), &[]);
        check(
            &json!([{"type": "Node"}, {"type": "Pod", "default": {"cpu": "1"}, "min": {"pods": 1}}, {"type": "Pod"},
                {"type": "PersistentVolumeClaim"}]),
            &[
                "spec.limits[0].type: Invalid value: \"Node\": must be a standard limit type or fully qualified",
                "spec.limits[1].min[pods]: Invalid value: \"pods\": must be a standard resource for containers",
                "spec.limits[1].default: Forbidden: may not be specified when `type` is 'Pod'",
                "spec.limits[2].type: Duplicate value: \"Pod\"",
                "spec.limits[3].limits: Required value: either minimum or maximum storage value is required, but neither was provided",
            ],
        );
    }

    #[test]
    fn the_least_is_no_more_than_the_most() {
        check(
            &json!([{"type": "Container", "min": {"cpu": "3"}, "max": {"cpu": "1"}, "default": {"cpu": "2"},
                "defaultRequest": {"cpu": "2500m"}, "maxLimitRequestRatio": {"cpu": "500m"}}]),
            &[
                "spec.limits[0].min[cpu]: Invalid value: \"3\": min value 3 is greater than max value 1",
                "spec.limits[0].defaultRequest[cpu]: Invalid value: \"2500m\": min value 3 is greater than default request value 2500m",
                "spec.limits[0].defaultRequest[cpu]: Invalid value: \"2500m\": default request value 2500m is greater than max value 1",
                "spec.limits[0].defaultRequest[cpu]: Invalid value: \"2500m\": default request value 2500m is greater than default limit value 2",
                "spec.limits[0].default[cpu]: Invalid value: \"3\": min value 3 is greater than default value 2",
                "spec.limits[0].default[cpu]: Invalid value: \"1\": default value 2 is greater than max value 1",
                "spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: \"500m\": ratio 500m is less than 1",
                "spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: \"500m\": ratio 500m is greater than max/min = 0.333333",
            ],
        );
        check(
            &json!([{"type": "Container", "default": {"example.org/gpu": "2"}, "defaultRequest": {"example.org/gpu": "1"}}]),
            &[
                "spec.limits[0].defaultRequest[example.org/gpu]: Invalid value: \"1\": default value 2 must equal to defaultRequest value 1 in example.org/gpu",
            ],
        );
    }
}
