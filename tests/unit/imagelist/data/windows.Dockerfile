# escape=`
FROM mcr.microsoft.com/windows/servercore:ltsc2022 AS base
SHELL ["powershell", "-Command"]
RUN Invoke-WebRequest https://example.com/x.zip `
      -OutFile C:\
COPY --from=mcr.microsoft.com/dotnet/sdk:8.0 ["C:\\Program Files", "C:\\sdk"]
FROM base
