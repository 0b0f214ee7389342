/** All routes that are compared, by group. */
import { limits } from './limit-stories.ts'
import { matching } from './match-stories.ts'
import { edits, redirects, rewrites, splits } from './redirect-stories.ts'
import { type RouteStory, inGroup } from './route-story.ts'
import { otherRules, rules } from './rule-stories.ts'
import { templates } from './template-stories.ts'

export const routeStories: readonly RouteStory[] = [
  ...inGroup('match', matching),
  ...inGroup('redirect', redirects),
  ...inGroup('rewrite', rewrites),
  ...inGroup('split', splits),
  ...inGroup('edit', edits),
  ...inGroup('limit', limits),
  ...inGroup('template', templates),
  ...inGroup('rule', rules),
]

/** In a table of their own, which says otherwise how its routes are found and edited. */
export const otherStories: readonly RouteStory[] = inGroup('other', otherRules)
