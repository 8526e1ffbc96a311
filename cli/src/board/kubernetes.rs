//! A study for Kubernetes: manifests of the one who asks and of workers, to be applied by somebody. Nothing is sent anywhere.
//!
//! The asker is a Job of one pod that goes on with the study when it is started anew. Workers are an Indexed Job, which keeps as
//! many pods as are wanted and starts those anew whose node is gone. Kubernetes knows nothing of trials.

use super::worker_arguments;
use crate::error::{Error, Exit};
use crate::journal::Location;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Where the manifest is in a pod: in a folder that may be written to, which output of trials goes into.
const FOLDER: &str = "/study";
/// How long a worker has after it was told to end: what it runs by then is finished, and else run elsewhere.
const GRACE_SECONDS: u64 = 120;
/// A pod that waits for its turn, or outlives an asker that is started anew.
const PATIENCE_SECONDS: u64 = 3_600;
/// How often the asker, and each worker, is started anew if it breaks. Pods that are gone with their node do not count.
const BREAKS_MAX: u32 = 20;

/// What to deploy.
pub struct Deployment<'a> {
    /// The text of the study's manifest.
    pub manifest: &'a str,
    /// The study's name.
    pub study: &'a str,
    /// Its store, on a server.
    pub location: &'a Location,
    /// A container image with `ansatz`, its plugins, and all that the objective needs.
    pub image: &'a str,
    /// Pods that work.
    pub workers: u32,
    /// Trials that each runs at the same time: as many processors are asked for.
    pub worker_slots: u32,
    /// The Secret whose key `password` is the server's password.
    pub secret: Option<&'a str>,
}

impl Deployment<'_> {
    /// The manifests, as a YAML document.
    ///
    /// # Errors
    /// `Usage`: the store is a file, or the study's name has nothing that a name may have.
    pub fn yaml(&self) -> Result<String, Error> {
        // JSON is YAML, and a comment makes it no less
        Ok(format!(
            "# Study {} on Kubernetes, by ansatz {}. Checked against the schema of Kubernetes 1.33, and not run on a cluster.\n\
             # kubectl apply -f - takes it; kubectl delete -f - takes it away, and the store keeps the study.\n{:#}\n",
            self.study,
            env!("CARGO_PKG_VERSION"),
            self.list()?
        ))
    }

    fn list(&self) -> Result<Value, Error> {
        if let Location::File(path) = self.location {
            return Err(Error::Usage(format!(
                "pods cannot share the file {}: keep the study on a server, with --store \
                 postgres://user@host/database",
                path.display()
            )));
        }
        let name = self.name()?;
        let items = [self.config_map(&name), self.asker(&name), self.workers(&name)];
        Ok(json!({"apiVersion": "v1", "kind": "List", "items": items}))
    }

    /// A label of RFC 1123, short enough for what Kubernetes puts behind it.
    fn name(&self) -> Result<String, Error> {
        let letters = self.study.chars().map(|letter| match letter.to_ascii_lowercase() {
            letter if letter.is_ascii_alphanumeric() => letter,
            _ => '-',
        });
        let name: String = letters.take(40).collect();
        match name.trim_matches('-') {
            "" => Err(Error::Usage(format!(
                "study {:?} has no letter or digit that the name of an object of Kubernetes may have; give it \
                 another one",
                self.study
            ))),
            name if name == self.study => Ok(format!("ansatz-{name}")),
            // others may come to the same
            name => {
                let hash = Sha256::digest(self.study);
                Ok(format!("ansatz-{name}-{:02x}{:02x}{:02x}", hash[0], hash[1], hash[2]))
            }
        }
    }

    fn metadata(&self, name: &str, role: &str) -> Value {
        json!({
            "name": format!("{name}-{role}"),
            "labels": self.labels(name, role),
            "annotations": {"ansatz/study": self.study},
        })
    }

    fn labels(&self, name: &str, role: &str) -> Value {
        json!({
            "app.kubernetes.io/name": "ansatz",
            "app.kubernetes.io/instance": name,
            "app.kubernetes.io/component": role,
        })
    }

    fn config_map(&self, name: &str) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": self.metadata(name, "manifest"),
            "data": {"study.toml": self.manifest},
        })
    }

    fn asker(&self, name: &str) -> Value {
        let arguments = [
            "run".to_owned(),
            format!("{FOLDER}/study.toml"),
            "--resume".into(),
            "--on=board".into(),
            format!("--store={}", self.location),
            "--quiet".into(),
        ];
        json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": self.metadata(name, "asker"),
            "spec": {
                "backoffLimit": BREAKS_MAX,
                "podFailurePolicy": Self::failures(),
                "template": self.pod(name, "asker", &arguments, 1),
            },
        })
    }

    fn workers(&self, name: &str) -> Value {
        let arguments = worker_arguments(self.location, self.study, self.worker_slots, PATIENCE_SECONDS);
        json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": self.metadata(name, "worker"),
            "spec": {
                "completionMode": "Indexed",
                "completions": self.workers,
                "parallelism": self.workers,
                "backoffLimitPerIndex": BREAKS_MAX,
                "podFailurePolicy": Self::failures(),
                "template": self.pod(name, "worker", &arguments, self.worker_slots),
            },
        })
    }

    /// Pods that are gone with their node do not count; a study that somebody has cancelled is not begun anew.
    fn failures() -> Value {
        json!({"rules": [
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            {"action": "FailJob", "onExitCodes": {
                "containerName": "ansatz", "operator": "In", "values": [Exit::Interrupted as i32],
            }},
        ]})
    }

    fn pod(&self, name: &str, role: &str, arguments: &[String], processors: u32) -> Value {
        let mut container = json!({
            "name": "ansatz",
            "image": self.image,
            "command": ["ansatz"],
            "args": arguments,
            "workingDir": FOLDER,
            "resources": {"requests": {"cpu": processors.to_string()}},
            "volumeMounts": [
                {"name": "folder", "mountPath": FOLDER},
                {"name": "manifest", "mountPath": format!("{FOLDER}/study.toml"), "subPath": "study.toml"},
            ],
        });
        if let Some(secret) = self.secret {
            // never in an argument, where everybody reads it who may list pods
            let key = json!({"secretKeyRef": {"name": secret, "key": "password"}});
            container["env"] = json!([{"name": "PGPASSWORD", "valueFrom": key}]);
        }
        json!({
            "metadata": {"labels": self.labels(name, role)},
            "spec": {
                "restartPolicy": "Never",
                "terminationGracePeriodSeconds": GRACE_SECONDS,
                "automountServiceAccountToken": false,
                "containers": [container],
                "volumes": [
                    {"name": "folder", "emptyDir": {}},
                    {"name": "manifest", "configMap": {"name": format!("{name}-manifest")}},
                ],
            },
        })
    }
}
