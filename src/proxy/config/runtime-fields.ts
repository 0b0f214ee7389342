/** What is read of a value that Envoy's runtime could change: its default, for there is no runtime here. */
import { type MessageRule, ignored, used } from './field-rule.ts'

export const runtimeFractionRule: MessageRule = {
  type: 'envoy.config.core.v3.RuntimeFractionalPercent',
  fields: { defaultValue: used(), runtimeKey: ignored('there is no runtime; the default counts') },
}
