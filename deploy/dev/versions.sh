# The tools of this workshop, pinned. A change here takes effect at the next `make test`.

buf_version=1.75.0
cargo_deny_version=0.20.2
grpcurl_version=v1.9.4
# Debian release of the image that tests run commands in.
image_release=bookworm
