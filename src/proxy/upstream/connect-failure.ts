/**
 * Why no connection stood, in the words that Envoy logs: the system's message for the error, as `strerror` has it. Node
 * gives the name of the error in its message (`connect ECONNREFUSED 127.0.0.1:80`).
 */

/** `connect ECONNREFUSED 127.0.0.1:80` → `delayed connect error: Connection refused`. */
export function connectFailureText(message: string): string {
  const code = /\bE[A-Z]{3,}\b/.exec(message)?.[0]
  const text = code === undefined ? undefined : systemMessages[code]
  return text === undefined ? message : `delayed connect error: ${text}`
}

const systemMessages: Readonly<Record<string, string>> = {
  EACCES: 'Permission denied',
  EADDRNOTAVAIL: 'Cannot assign requested address',
  ECONNREFUSED: 'Connection refused',
  ECONNRESET: 'Connection reset by peer',
  EHOSTUNREACH: 'No route to host',
  EMFILE: 'Too many open files',
  ENETUNREACH: 'Network is unreachable',
  ENOENT: 'No such file or directory',
  ETIMEDOUT: 'Connection timed out',
}
