/** Opens a workload's identity as its plan says, and waits for its first certificate. */
import { createCertificate } from '../xds/ca-client.ts'
import { requestToken } from './identity/request-token.ts'
import { WorkloadIdentity } from './identity/workload-identity.ts'
import type { OpenIdentity } from './sidecar.ts'

export const openIdentity: OpenIdentity = async ({ plan, signal, ...options }) => {
  if (plan.identity === undefined) return undefined
  const opened = new WorkloadIdentity({
    ...options,
    plan,
    identity: plan.identity,
    createCertificate,
    requestToken,
  })
  try {
    await opened.start(signal)
    return opened
  } catch (error) {
    opened[Symbol.dispose]()
    throw error
  }
}
