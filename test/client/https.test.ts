import { testCertificates, trustTestCertificates } from '../proxies/certificates.ts';
import { standalone, type Mount } from './mounts.ts';
import { runScenarios } from './run-scenarios.ts';
import { essentials } from './scenarios/essentials.ts';

/** A certificate in the server itself, as large downloads and cut connections meet it. */
const https: Mount = {
  name: 'standalone with https',
  async start(options) {
    await trustTestCertificates();
    const { certificate, key } = await testCertificates();
    const server = await standalone.start({ ...options, env: { TLS_CERT: certificate, TLS_KEY: key } });
    return { ...server, endpoint: server.endpoint.replace('http:', 'https:') };
  },
};

await trustTestCertificates();
runScenarios(https, 'Real clients (the essentials)', essentials);
