/**
 * Loads the X.509 library when the authority wants it: in the control plane, never in a sidecar. It costs about
 * 15 MB, and its decorators need a global that the first import sets.
 */
import type * as X509 from '@peculiar/x509'

export type X509Library = typeof X509

export async function loadX509(): Promise<X509Library> {
  await import('reflect-metadata')
  const library = await import('@peculiar/x509')
  library.cryptoProvider.set(globalThis.crypto)
  return library
}
