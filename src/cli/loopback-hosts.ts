/** Every spelling of this machine that an HTTP block may be given; as `--allow-host` takes them. */
export const LOOPBACK_HOSTS: readonly string[] = ['localhost', '127.0.0.1', '::1'];
