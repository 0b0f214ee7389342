/** All routes that are compared, by group. */
import { limits } from './limit-stories.ts'
import { matching } from './match-stories.ts'
import { edits, redirects, rewrites, splits } from './redirect-stories.ts'
import { type RouteStory, inGroup } from './route-story.ts'
import { templates } from './template-stories.ts'

export const routeStories: readonly RouteStory[] = [
  ...inGroup('match', matching),
  ...inGroup('redirect', redirects),
  ...inGroup('rewrite', rewrites),
  ...inGroup('split', splits),
  ...inGroup('edit', edits),
  ...inGroup('limit', limits),
  ...inGroup('template', templates),
]
