/** Asks the control plane on this host for a token, through a socket that only its owner may use. */
export type RequestToken = (socketPath: string) => Promise<string>
