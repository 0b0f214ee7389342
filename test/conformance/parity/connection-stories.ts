/** All stories about connections. */
import { routerStories } from './connection-router-stories.ts'
import type { ConnectionStory } from './connection-story.ts'
import { earlyStories } from './early-stories.ts'
import { endStories } from './end-stories.ts'
import { framingStories } from './framing-stories.ts'
import { interimStories } from './interim-stories.ts'
import { pipelineStories } from './pipeline-stories.ts'
import { timeoutStories } from './timeout-stories.ts'
import { tunnelStories } from './tunnel-stories.ts'
import { upgradeStories } from './upgrade-stories.ts'

export const connectionStories: readonly ConnectionStory[] = [
  ...routerStories,
  ...pipelineStories,
  ...timeoutStories,
  ...endStories,
  ...earlyStories,
  ...interimStories,
  ...framingStories,
  ...upgradeStories,
  ...tunnelStories,
]
