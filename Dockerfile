# ottla in a container: no build tools, no root, and Apache Kafka's own image variables (KAFKA_NUM_PARTITIONS=3 is num.partitions=3).
#
#   docker build -t ottla . && docker run -p 9092:9092 -v ottla:/var/lib/ottla ottla
FROM node:24-bookworm-slim AS build
WORKDIR /ottla
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY bin bin
COPY protocol protocol
COPY storage storage
COPY src src
RUN node bin/bundle.js && npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:24-bookworm-slim
WORKDIR /ottla
COPY --from=build /ottla/node_modules node_modules
COPY --from=build /ottla/dist dist
COPY package.json LICENSE README.md ./
COPY bin bin

# What a client on the host is told is localhost, as in Apache Kafka's image. Clients in other containers need an advertised listener of their own.
ENV NODE_ENV=production \
    NODE_COMPILE_CACHE=/ottla/.cache \
    KAFKA_LISTENERS=PLAINTEXT://:9092 \
    KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://localhost:9092 \
    KAFKA_LOG_DIRS=/var/lib/ottla
# One short life in memory fills the compile cache, so that the first start is as quick as the others.
RUN mkdir -p /var/lib/ottla .cache && chown node:node /var/lib/ottla .cache
USER node
RUN timeout --signal=TERM 5 node bin/ottla.js start --memory --quiet || [ $? -eq 124 ]

VOLUME /var/lib/ottla
EXPOSE 9092
STOPSIGNAL SIGTERM
# Whether a listener answers; with KAFKA_OTTLA_HTTP=:8080, whether the node can be used (/readyz), as an orchestrator asks it too.
HEALTHCHECK --interval=5s --timeout=4s --start-period=5s --retries=3 CMD ["node", "bin/ottla.js", "health"]
ENTRYPOINT ["node", "bin/ottla.js"]
CMD ["start"]
