"""Starts the Kubernetes of one node, first its API server, then what runs pods, and ends all of it.

Everything is inside namespaces of its own (network, mounts, processes): no address of this machine is
listened on, no iptables rule, interface, sysctl or mount of it is changed, and the end of the first process
in there is the end of all. What it shares with the machine are cgroups, below one of its own name.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tests.support.cluster import names
from tests.support.cluster.build import programs

ADDRESS = "10.10.0.1"
# Where the rest of the world is, for pods.
OUTSIDE = "10.10.0.254"
API = f"https://{ADDRESS}:6443"
NODE = "node1"
SERVICES, DNS = "10.96.0.0/16", "10.96.0.10"
PODS = "10.244.0.0/24"
# Not every kernel takes part: what pods need on this machine beside the programs.
NEEDED = ("containerd", "runc", "iptables", "conntrack", "nsenter", "ip", "openssl")
CNI = Path("/usr/lib/cni")
_CGROUPS = Path("/sys/fs/cgroup")
_GROUP = "cognito-gateway-tests"

# Folders that programs do not let one choose, and the sysctls that the kubelet would set for the machine: it
# finds them set already. A veth pair is the node's interface: not every kernel has dummy ones.
_SETUP = """
set -e
mount --make-rshared /
mount -t tmpfs tmpfs /run
mount --bind {folder}/varlog /var/log
mkdir -p /var/lib/kubelet /var/lib/cni
mount --bind {folder}/kubelet /var/lib/kubelet
mount --bind {folder}/cni-data /var/lib/cni
while read -r name value; do
  echo $value > {folder}/sys/${{name//\\//.}}
  mount --bind {folder}/sys/${{name//\\//.}} /proc/sys/$name
done <<LIST
vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000
LIST
ip link set lo up
ip netns add outside
ip link add node0 type veth peer name node0-peer netns outside
ip addr add {address}/24 dev node0
ip link set node0 up
ip route add default via {outside}
ip -n outside link set lo up
ip -n outside addr add {outside}/24 dev node0-peer
ip -n outside link set node0-peer up
ip -n outside route add {pods} via {address}
echo 1 > /proc/sys/net/ipv4/ip_forward
"""

# restrict_oom_score_adj: without CAP_SYS_RESOURCE nobody may be made less killable than now.
_CONTAINERD = """
version = 2
root = "{folder}/containerd"
state = "/run/containerd"
oom_score = 0
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/library/pause:local"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni}"
    conf_dir = "{folder}/cni-conf"
"""

# A route to each pod and no bridge: packets between two pods pass the node's rules, as they must for Services
# and for NetworkPolicies, whatever the kernel's bridge filters.
_NETWORK = {
    "cniVersion": "0.4.0",
    "name": "pods",
    "plugins": [
        {
            "type": "ptp",
            "ipMasq": False,
            "ipam": {"type": "host-local", "ranges": [[{"subnet": PODS}]], "routes": [{"dst": "0.0.0.0/0"}]},
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ],
}

_KUBELET = """
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: /{group}
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
authentication: {{anonymous: {{enabled: true}}, webhook: {{enabled: false}}}}
authorization: {{mode: AlwaysAllow}}
clusterDNS: [{dns}]
clusterDomain: cluster.local
resolvConf: {folder}/resolv.conf
failSwapOn: false
enforceNodeAllocatable: []
oomScoreAdj: 0
syncFrequency: {sync}
maxPods: 100
imageGCHighThresholdPercent: 100
evictionHard: {{memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%, nodefs.inodesFree: 1%}}
"""

_RESOLVER = """
apiVersion: v1
kind: Service
metadata: {{name: kube-dns, namespace: kube-system}}
spec:
  clusterIP: {dns}
  ports: [{{name: dns, port: 53, protocol: UDP}}, {{name: dns-tcp, port: 53, protocol: TCP}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: kube-dns, namespace: kube-system, labels: {{kubernetes.io/service-name: kube-dns}}}}
addressType: IPv4
endpoints: [{{addresses: ["{address}"]}}]
ports: [{{name: dns, port: 53, protocol: UDP}}, {{name: dns-tcp, port: 53, protocol: TCP}}]
"""

# Who asks the API server: user, group. Tokens will do: in there nobody else listens.
_USERS = {
    "admin": ("admin", "system:masters"),
    "controllers": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "proxy": ("system:kube-proxy", ""),
    "kubelet": (f"system:node:{NODE}", "system:nodes"),
}


class Node:
    """A running node; `folder` holds all that it writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pid = 0
        self.has_pods = False
        self._programs = programs()
        self._tokens = {name: secrets.token_hex(16) for name in _USERS}
        self._outer: subprocess.Popen[bytes] | None = None
        self._started: list[subprocess.Popen[bytes]] = []
        self._group = f"{_GROUP}-{os.getpid()}"

    @property
    def environ(self) -> dict[str, str]:
        """For kubectl and helm."""
        return {
            **os.environ,
            "PATH": f"{self._programs}:{os.environ.get('PATH', '')}",
            "KUBECONFIG": str(self.folder / "kubeconfig" / "admin"),
        }

    def kubectl(self, *words: str | Path, stdin: str | None = None, seconds: float = 120) -> str:
        """Standard output; AssertionError with what it said where it fails. The caller is in the network."""
        done = subprocess.run(
            [self._programs / "kubectl", *words],
            env=self.environ,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0, f"kubectl {' '.join(map(str, words))}: {done.stdout}{done.stderr}"
        return done.stdout

    def enter(self, *words: str | Path) -> list[str | Path]:
        """The command, inside all of the node's namespaces."""
        return ["nsenter", "-t", str(self.pid), "-n", "-p", "-m", f"--wd={self.folder}", *words]

    def outside(self, *words: str | Path) -> list[str | Path]:
        """The command, in the network beyond the node's interface."""
        return ["nsenter", f"--net=/proc/{self.pid}/root/run/netns/outside", *words]

    # --- the API server ---

    def start(self) -> None:
        """Namespaces, etcd and the API server."""
        for name in (
            *("pki", "etcd", "log", "containerd", "kubelet", "cni-conf", "cni-data", "varlog", "kubeconfig"),
            "sys",
        ):
            (self.folder / name).mkdir()
        _remove_groups(alive=True)
        # The machine's mounts come in, ours do not get out; nothing outlives this process.
        self._outer = subprocess.Popen(
            [
                *("setpriv", "--pdeathsig=KILL", "unshare", "--net", "--pid", "--mount", "--fork"),
                *("--mount-proc", "--propagation=slave", "--kill-child", self._programs / "pause"),
            ],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children")
        _wait(30, "the namespaces", lambda: bool(children.read_text().strip()))
        self.pid = int(children.read_text())
        setup = _SETUP.format(folder=self.folder, address=ADDRESS, outside=OUTSIDE, pods=PODS)
        subprocess.run(self.enter("bash", "-c", setup), check=True)
        key = self.folder / "pki" / "sa.key"
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        self._write_users()
        self._run(
            "etcd",
            *("--data-dir", self.folder / "etcd", "--unsafe-no-fsync", "--log-level", "warn"),
            *("--listen-client-urls", "http://127.0.0.1:2379"),
            *("--advertise-client-urls", "http://127.0.0.1:2379"),
            *("--listen-peer-urls", "http://127.0.0.1:2380"),
            *("--initial-advertise-peer-urls", "http://127.0.0.1:2380"),
            *("--initial-cluster", "default=http://127.0.0.1:2380"),
        )
        self._run(
            "kube-apiserver",
            *("--etcd-servers", "http://127.0.0.1:2379", "--advertise-address", ADDRESS),
            *("--bind-address", ADDRESS, "--secure-port", "6443", "--cert-dir", self.folder / "pki"),
            *("--service-cluster-ip-range", SERVICES, "--token-auth-file", self.folder / "pki" / "tokens"),
            *("--authorization-mode", "Node,RBAC", "--enable-admission-plugins", "NodeRestriction"),
            *("--allow-privileged", "--kubelet-preferred-address-types", "InternalIP"),
            *("--service-account-key-file", key, "--service-account-signing-key-file", key),
            *("--service-account-issuer", "https://kubernetes.default.svc.cluster.local"),
        )
        self._ready(180, "kube-apiserver", "kubectl", "get", "--raw", "/readyz")

    def _write_users(self) -> None:
        lines = []
        for name, (user, group) in _USERS.items():
            lines.append(f'{self._tokens[name]},{user},{user},"{group}"\n')
            cluster = {"server": API, "certificate-authority": str(self.folder / "pki" / "apiserver.crt")}
            config = {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "local", "cluster": cluster}],
                "users": [{"name": "me", "user": {"token": self._tokens[name]}}],
                "contexts": [{"name": "local", "context": {"cluster": "local", "user": "me"}}],
                "current-context": "local",
            }
            (self.folder / "kubeconfig" / name).write_text(json.dumps(config))
        (self.folder / "pki" / "tokens").write_text("".join(lines))

    # --- pods ---

    def start_pods(self, images: Iterable[Path], *, sync: str = "3s") -> None:
        """Controllers, scheduler, containerd with these images, kubelet, Services, names, NetworkPolicies.

        `sync`: how often the kubelet looks whether a pod's ConfigMaps and Secrets have changed.
        """
        config = self.folder / "kubeconfig"
        key, certificate = self.folder / "pki" / "sa.key", self.folder / "pki" / "apiserver.crt"
        self._run(
            "kube-controller-manager",
            *("--kubeconfig", config / "controllers", "--authentication-kubeconfig", config / "controllers"),
            *("--authorization-kubeconfig", config / "controllers", "--bind-address", "127.0.0.1"),
            *("--service-account-private-key-file", key, "--root-ca-file", certificate),
            *("--use-service-account-credentials", "--leader-elect=false"),
        )
        self._run(
            "kube-scheduler",
            *("--kubeconfig", config / "scheduler", "--authentication-kubeconfig", config / "scheduler"),
            *("--authorization-kubeconfig", config / "scheduler", "--bind-address", "127.0.0.1"),
            "--leader-elect=false",
        )
        (self.folder / "containerd.toml").write_text(_CONTAINERD.format(folder=self.folder, cni=CNI))
        (self.folder / "cni-conf" / "10-pods.conflist").write_text(json.dumps(_NETWORK))
        self._run("containerd", "--config", self.folder / "containerd.toml")
        self._ready(60, "containerd", "ctr", "version")
        for image in images:
            self.load_image(image)
        (self.folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        (self.folder / "kubelet.yaml").write_text(
            _KUBELET.format(folder=self.folder, group=self._group, dns=DNS, sync=sync)
        )
        _make_group(self._group)
        self._run(
            "kubelet",
            *("--config", self.folder / "kubelet.yaml", "--kubeconfig", config / "kubelet"),
            *("--hostname-override", NODE, "--node-ip", ADDRESS),
        )
        self._inside(
            *("kubectl", "create", "clusterrolebinding", "proxy"),
            *("--clusterrole=system:node-proxier", "--user=system:kube-proxy"),
        )
        self._run(
            "kube-proxy",
            *("--kubeconfig", config / "proxy", "--hostname-override", NODE, "--proxy-mode", "iptables"),
            *("--cluster-cidr", PODS, "--conntrack-max-per-core", "0", "--oom-score-adj", "0"),
            *("--conntrack-tcp-timeout-established", "0", "--conntrack-tcp-timeout-close-wait", "0"),
            *("--nodeport-addresses", f"{ADDRESS}/32"),
        )
        self._inside("kubectl", "apply", "-f", "-", stdin=_RESOLVER.format(dns=DNS, address=ADDRESS))
        (self.folder / "admin-token").write_text(self._tokens["admin"])
        self._run(
            *(sys.executable, names.__file__, ADDRESS, API, certificate, self.folder / "admin-token"),
            log="names",
        )
        self._enforce_policies()
        self._ready(
            180, "the node", "kubectl", "wait", "--for=condition=Ready", f"node/{NODE}", "--timeout=1s"
        )
        self.has_pods = True

    def _enforce_policies(self) -> None:
        """Each new connection of a pod is shown to the enforcer.

        Its own rules need a part of nftables that not every kernel has; these say the same.
        """
        pool = PODS
        for rule in (
            # The kubelet's probes, and whatever else the node's root asks.
            "-m owner --uid-owner 0 -j ACCEPT",
            "-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
            f"-s {pool} -j NFQUEUE --queue-num 100",
            f"-d {pool} -j NFQUEUE --queue-num 100",
        ):
            self._inside("iptables", "-t", "mangle", "-A", "POSTROUTING", *rule.split())
        self._run(
            "network-policies",
            *("--kubeconfig", self.folder / "kubeconfig" / "admin", "--hostname-override", NODE),
        )

    def load_image(self, archive: Path) -> None:
        self._inside("ctr", "--namespace", "k8s.io", "images", "import", archive)

    def kill_container(self, container: str) -> None:
        """SIGKILL, as the kernel sends it: not even the kubelet knows before."""
        self._inside("ctr", "--namespace", "k8s.io", "task", "kill", "--signal", "SIGKILL", container)

    # --- the end ---

    def stop(self) -> None:
        """End every process of it, and remove what it left."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        if self._outer is not None:
            self._outer.wait(60)
        for process in self._started:
            process.wait(60)
        _remove_groups(alive=False)

    def log(self, name: str) -> str:
        return (self.folder / "log" / name).read_text(errors="replace")

    def _run(self, *words: str | Path, log: str = "") -> None:
        with (self.folder / "log" / (log or str(words[0]))).open("ab") as file:
            self._started.append(
                subprocess.Popen(
                    self.enter(*words),
                    env=self.environ,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=file,
                    start_new_session=True,
                )
            )

    def _inside(self, *words: str | Path, stdin: str | None = None, check: bool = True) -> bool:
        done = subprocess.run(
            self.enter(*words), env=self.environ, input=stdin, capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.returncode == 0

    def _ready(self, seconds: float, what: str, *words: str | Path) -> None:
        _wait(seconds, f"{what} (logs are in {self.folder}/log)", lambda: self._inside(*words, check=False))


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Node]:
    """A node with its API server; whatever is started in it ends with the block."""
    node = Node(folder)
    try:
        node.start()
        yield node
    finally:
        node.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _wait(seconds: float, what: str, true: Callable[[], bool]) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, f"{what}: not ready within {seconds} s"
        time.sleep(0.2)


# --- cgroups, the one thing shared with the machine ---


def _hierarchies() -> list[Path]:
    if (_CGROUPS / "cgroup.controllers").exists():
        return [_CGROUPS]
    return [path for path in _CGROUPS.iterdir() if (path / "cgroup.procs").exists()]


def _make_group(name: str) -> None:
    for hierarchy in _hierarchies():
        group = hierarchy / name
        group.mkdir()
        if hierarchy == _CGROUPS:
            # Version 2 alone: the parent says what is counted below.
            (hierarchy / "cgroup.subtree_control").write_text("+cpuset +cpu +io +memory +pids")
            continue
        for each in ("cpuset.cpus", "cpuset.mems"):
            # In the first version of cgroups these are empty at first, and then nobody may join.
            if (group / each).exists():
                (group / each).write_text((hierarchy / each).read_text())


def _remove_groups(*, alive: bool) -> None:
    """Remove ours; `alive`: only those whose test run is gone."""
    for hierarchy in _hierarchies():
        for group in hierarchy.glob(f"{_GROUP}-*"):
            owner = int(group.name.rpartition("-")[2])
            if (owner != os.getpid() and Path(f"/proc/{owner}").exists()) or (alive and owner == os.getpid()):
                continue
            for folder, _, _ in os.walk(group, topdown=False):
                _remove_group(Path(folder))


def _remove_group(group: Path) -> None:
    # Busy for a moment after its last process has gone.
    for _ in range(50):
        try:
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.1)
        else:
            return
