/** Which fields of Envoy's `route.v3.RetryPolicy` act here. */
import { type MessageRule, refusedField, used } from '../config/field-rule.ts'

export const retryPolicyRule: MessageRule = {
  type: 'envoy.config.route.v3.RetryPolicy',
  fields: {
    retryOn: used(),
    numRetries: used(),
    perTryTimeout: used(),
    perTryIdleTimeout: used(),
    retryPriority: used(
      undefined,
      'envoy.retry_priorities.previous_priorities; hashing ignores it',
    ),
    retryHostPredicate: used(undefined, 'envoy.retry_host_predicates.previous_hosts'),
    retryOptionsPredicates: refusedField('no predicate is implemented'),
    refreshClusterOnRetry: refusedField('not implemented yet'),
    hostSelectionRetryMaxAttempts: used(),
    retriableStatusCodes: used(),
    retryBackOff: used({
      type: 'envoy.config.route.v3.RetryPolicy.RetryBackOff',
      fields: { baseInterval: used(), maxInterval: used() },
    }),
    rateLimitedRetryBackOff: used({
      type: 'envoy.config.route.v3.RetryPolicy.RateLimitedRetryBackOff',
      fields: { resetHeaders: used(), maxInterval: used() },
    }),
    retriableHeaders: used(),
    retriableRequestHeaders: used(),
  },
}
