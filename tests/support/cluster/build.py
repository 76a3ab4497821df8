"""The programs of a whole Kubernetes, from the Go module proxy alone, kept in the user's cache.

`python3 -m tests.support.cluster.build` builds them where they are not there yet, and prints their folder;
it needs Go, and no package. The modules and their hashes are locked in tests/kubernetes/programs.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "kubernetes" / "programs"
KUBERNETES = "1.35.4"
# Names under which the one program is another one.
PARTS = (
    *("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"),
    *("kubelet", "kube-proxy", "kubectl", "network-policies"),
)
# Without these a cluster says v0.0.0, and with it decide Helm's .Capabilities, and the chart.
_VERSION = {
    "gitVersion": f"v{KUBERNETES}",
    "gitMajor": "1",
    "gitMinor": KUBERNETES.split(".")[1],
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
}
# CustomResourceDefinitions of what the chart can make: module, its hash as in a go.sum, the files, and in
# which folder below `crds` they are kept.
_CRDS = (
    (
        "github.com/prometheus-operator/prometheus-operator@v0.90.1",
        "h1:n/+FkLB6WpftBxJC8IEHrWXSA6uzNTocFmwU/ACkfeg=",
        "example/prometheus-operator-crd/monitoring.coreos.com_{servicemonitors,prometheusrules}.yaml",
        "",
    ),
    (
        "sigs.k8s.io/gateway-api@v1.6.3",
        "h1:lKpJa5bGlraC/QeACvCpsHLdmO6y0iKfzVl6gzaFEYc=",
        "config/crd/experimental/gateway.networking.k8s.io_{httproutes,gateways,gatewayclasses}.yaml",
        "",
    ),
    (
        "sigs.k8s.io/gateway-api@v1.6.3",
        "h1:lKpJa5bGlraC/QeACvCpsHLdmO6y0iKfzVl6gzaFEYc=",
        "config/crd/standard/gateway.networking.k8s.io_{httproutes}.yaml",
        "standard",
    ),
    (
        "github.com/envoyproxy/gateway@v1.9.1",
        "h1:vAVp6/AlBXJ1aOhp1mxL7fNEzVEfjADUguUhm2wzxQY=",
        "charts/gateway-helm/charts/crds/crds/generated/gateway.envoyproxy.io_{securitypolicies}.yaml",
        "",
    ),
)


def cache() -> Path:
    """Return where builds of any version are kept."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "cognito-gateway" / "kubernetes"


def programs() -> Path:
    """Return the folder of the programs of this version, built or not; `crds` is beside them."""
    told = hashlib.sha256(Path(__file__).read_bytes())
    for path in sorted(SOURCES.rglob("*")):
        if path.is_file():
            told.update(path.read_bytes())
    return cache() / f"v{KUBERNETES}-{told.hexdigest()[:12]}"


def built() -> bool:
    return (programs() / "crds").is_dir()


def go() -> str | None:
    """Return the path of Go's command, if it is installed."""
    return shutil.which("go", path=f"{os.environ.get('PATH', '')}:/usr/local/go/bin:/usr/lib/go/bin")


def build() -> Path:
    """Build what is missing; 10 minutes of CPU when Go has compiled none of it before. Return the folder."""
    folder = programs()
    if built():
        return folder
    found = go()
    if found is None:
        sys.exit("building Kubernetes needs Go 1.26 or newer on PATH: https://go.dev/dl/")
    folder.mkdir(parents=True, exist_ok=True)
    _compile(found, "pause", folder)
    _compile(found, "kube", folder)
    _compile(found, "prometheus-config", folder)
    for name in PARTS:
        link = folder / name
        link.unlink(missing_ok=True)
        link.symlink_to("kube")
    _keep_crds(found, folder)
    for other in cache().iterdir():
        if other != folder:
            shutil.rmtree(other)
    return folder


def _compile(go: str, name: str, folder: Path) -> None:
    package = "k8s.io/component-base/version"
    flags = " ".join(["-s -w", *(f"-X {package}.{key}={value}" for key, value in _VERSION.items())])
    # No debugging information: nobody debugs it, and to write it costs the compiler some of its time.
    command = [go, "build", "-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false", "-ldflags", flags]
    environ = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"}
    subprocess.run([*command, "-o", folder / name, "."], cwd=SOURCES / name, env=environ, check=True)


def _keep_crds(go: str, folder: Path) -> None:
    new = folder / "crds.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    for module, wanted, pattern, under in _CRDS:
        done = subprocess.run(
            [go, "mod", "download", "-json", module], cwd=folder, stdout=subprocess.PIPE, check=True
        )
        said = json.loads(done.stdout)
        if said["Sum"] != wanted:
            sys.exit(f"{module} is not what it was: {said['Sum']} in place of {wanted}")
        before, _, rest = pattern.partition("{")
        names, _, after = rest.partition("}")
        (new / under).mkdir(exist_ok=True)
        for name in names.split(","):
            shutil.copyfile(Path(said["Dir"]) / f"{before}{name}{after}", new / under / f"{name}.yaml")
    # The last step: its being there says that all is.
    new.rename(folder / "crds")


if __name__ == "__main__":
    print(build())
