/** Two sources of secrets as one, for the one stream that a sidecar opens to its agent. Names are in one of them only. */
import { typeUrls, viewOfType, type ResourceView, type ViewSource } from '../../xds/resource-set.ts'

type Source = Pick<ViewSource, 'onChange'> & { viewOf(): ResourceView }

export function joinSecrets(first: Source, second: Source): ViewSource {
  let joined: ResourceView | undefined
  let parts: readonly ResourceView[] = []
  return {
    viewOf() {
      const now = [first.viewOf(), second.viewOf()]
      if (joined !== undefined && now.every((view, index) => view === parts[index])) return joined
      const secrets = new Map(now.flatMap((view) => [...view.resources(typeUrls.secret)]))
      parts = now
      joined = viewOfType(typeUrls.secret, {
        revision: now.map(({ revision }) => revision).join(' '),
        resources: secrets,
      })
      return joined
    },
    onChange(listener) {
      const stack = new DisposableStack()
      stack.use(first.onChange(listener))
      stack.use(second.onChange(listener))
      return stack
    },
  }
}
