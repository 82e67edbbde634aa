// The worker thread that engines run in.

import { engines } from './engines.ts'
import { serveEngines } from './sys/engineServer.ts'

serveEngines(engines)
