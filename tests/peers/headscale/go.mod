module tailscale-gateway/tests/peers/headscale

go 1.26.6
