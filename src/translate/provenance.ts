/**
 * What a message was made from, in its metadata: Istio's path of the resource, and our path of the field in it, which
 * no proxy reads. The file and the line are not sent: a comment that moves lines must not change what a thousand
 * sidecars have.
 */

/** Istio's path of the resource that something was made from. */
export function configPath(
  kind: 'destination-rule' | 'virtual-service',
  metadata: { readonly namespace: string; readonly name: string },
): string {
  return `/apis/networking.istio.io/v1/namespaces/${metadata.namespace}/${kind}/${metadata.name}`
}
