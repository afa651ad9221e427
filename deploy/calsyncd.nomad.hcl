# One company under Nomad: one process, its state on a host volume. docs/living.md says what was tested of this and what
# not. The client that has the volume also has calsyncd in /opt/calsyncd and the settings in /etc/calsyncd; its chroot_env
# names /opt/calsyncd beside Nomad's defaults, without which the exec driver does not find it. For the check, which asks on
# 127.0.0.1, its client block has: host_network "loopback" { interface = "lo" }
#
#   nomad job run -var uid=$(id -u calsyncd) -var gid=$(id -g calsyncd) calsyncd.nomad.hcl     (on that client)

variable "uid" {
  type        = number
  description = "The number of the user calsyncd on the client: the rendered secrets are theirs."
}

variable "gid" {
  type        = number
  description = "The number of the group calsyncd on the client."
}

job "calsyncd" {
  type = "service"

  group "calsyncd" {
    # One, and never two: the second ends with status 75 while the first holds the state directory.
    count = 1

    # The old one ends before the new one starts.
    update {
      max_parallel = 1
      canary       = 0
    }

    # Whatever ended it, agents may still be held.
    restart {
      attempts = 10
      interval = "5m"
      delay    = "2s"
      mode     = "delay"
    }

    # Its state is on this client: elsewhere it would start without its debts.
    reschedule {
      attempts  = 0
      unlimited = false
    }

    volume "state" {
      type            = "host"
      source          = "calsyncd"
      access_mode     = "single-node-single-writer"
      attachment_mode = "file-system"
    }

    network {
      port "public" {
        static = 8770
      }
      # server.admin_listen, as it is where the settings do not say otherwise.
      port "admin" {
        static       = 8771
        host_network = "loopback"
      }
    }

    service {
      name     = "calsyncd"
      port     = "public"
      provider = "nomad"
    }

    service {
      name     = "calsyncd-admin"
      port     = "admin"
      provider = "nomad"

      # Only for a loop that does not turn a restart helps: neither where the database does not answer, since what is in
      # memory stays in force, nor while Aircall is away, when /readyz is red.
      check {
        type     = "http"
        path     = "/healthz?only=loop"
        interval = "20s"
        timeout  = "5s"
        check_restart {
          limit = 3
          grace = "60s"
        }
      }
    }

    task "calsyncd" {
      driver = "exec"
      user   = "calsyncd"
      # calsyncd needs 5 s at most to end.
      kill_signal  = "SIGTERM"
      kill_timeout = "15s"

      config {
        command = "/opt/calsyncd/bin/calsyncd"
        args    = ["run", "--config", "/etc/calsyncd/config.yaml"]
      }

      # state_dir of the settings is /state.
      volume_mount {
        volume      = "state"
        destination = "/state"
      }

      # The settings name aircall-token without a slash: it is looked for here first, as with systemd. A rendered file is
      # the Nomad agent's, which is root as a rule, unless it is given to the user that is to read it.
      template {
        data        = "{{ with nomadVar \"nomad/jobs/calsyncd\" }}{{ .aircall_token }}{{ end }}"
        destination = "secrets/aircall-token"
        perms       = "0400"
        uid         = var.uid
        gid         = var.gid
        change_mode = "signal"
        change_signal = "SIGHUP"
      }
      template {
        data        = "{{ with nomadVar \"nomad/jobs/calsyncd\" }}{{ .google_json }}{{ end }}"
        destination = "secrets/google.json"
        perms       = "0400"
        uid         = var.uid
        gid         = var.gid
        change_mode = "signal"
        change_signal = "SIGHUP"
      }
      env {
        CREDENTIALS_DIRECTORY = "${NOMAD_SECRETS_DIR}"
      }

      resources {
        cpu    = 200
        memory = 256
      }
    }
  }
}
